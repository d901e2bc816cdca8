# SPDX-License-Identifier: Apache-2.0
"""The gpt-oss forward and backward pass in the shapes the demo models use.

Structure (gpt-oss model card, arXiv 2508.10925): pre-norm blocks of grouped-query attention with
learned sinks and a mixture of experts with clamped SwiGLU; even layers see a sliding window of 128
positions, odd layers all earlier ones; RoPE with theta 150000; untied head.

The expensive parts (attention, experts, cross-entropy) are autograd functions with hand-written
backward passes: matrix products in bfloat16, reductions in float32. On a CPU this is several times
faster than the composed operators, and the same code runs on CUDA.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 128  # attention is computed in blocks of this many queries; equals the sliding window


@dataclass(frozen=True)
class Config:
    name: str
    n_layer: int
    d_model: int
    n_head: int
    n_kv_head: int
    d_ff: int
    n_expert: int = 24
    top_k: int = 4
    head_dim: int = 32
    vocab: int = 5120
    window: int = 128
    context: int = 1024
    rope_theta: float = 150000.0
    swiglu_alpha: float = 1.702
    swiglu_limit: float = 7.0
    norm_eps: float = 1e-5

    def to_dict(self) -> dict:
        return asdict(self)


CONFIGS = {
    c.name: c
    for c in (
        Config("base", n_layer=8, d_model=224, n_head=8, n_kv_head=2, d_ff=64),
        Config("wide", n_layer=4, d_model=288, n_head=12, n_kv_head=3, d_ff=96),
        Config("deep", n_layer=16, d_model=128, n_head=6, n_kv_head=1, d_ff=64),
        Config("tiny", n_layer=2, d_model=64, n_head=2, n_kv_head=1, d_ff=32, n_expert=8),
    )
}


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    x = x.float()
    return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight).bfloat16()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE, halves convention. x (..., T, head_dim); cos, sin (T, head_dim/2)."""
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).bfloat16()


def masked_softmax(scores: Tensor, mask: Tensor, sink: Tensor, scale: float) -> Tensor:
    """Softmax over the keys and one sink logit per head; the sink's share is dropped.

    scores (B, H, Tq, Tk) bf16; mask (Tq, Tk) f32 of 0 and -inf; sink (1, H, 1, 1) f32."""
    s = scores.float() * scale + mask
    top = torch.maximum(s.amax(-1, keepdim=True), sink)
    e = torch.exp(s - top)
    return (e / (e.sum(-1, keepdim=True) + torch.exp(sink - top))).bfloat16()


def masked_softmax_grad(p: Tensor, dp: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Gradients by the scores (bf16) and, up to the sink's own share, by the sink (f32)."""
    p = p.float()
    dp = dp.float()
    dot = (p * dp).sum(-1, keepdim=True)
    rest = 1.0 - p.sum(-1, keepdim=True)  # the probability that went to the sink
    return (p * (dp - dot) * scale).bfloat16(), -(rest * dot).sum((0, 2, 3))


def swiglu(h: Tensor, w: Tensor, alpha: float, limit: float) -> Tensor:
    """h (rows, 2*ff): gates, then linear halves; w (rows, 1) routing weights -> (rows, ff)."""
    gate, up = h.float().chunk(2, -1)
    gate = gate.clamp(max=limit)
    return (gate * torch.sigmoid(alpha * gate) * (up.clamp(-limit, limit) + 1) * w).bfloat16()


def swiglu_grad(h: Tensor, da: Tensor, w: Tensor, alpha: float, limit: float) -> tuple[Tensor, Tensor]:
    """da (rows, ff) by the unweighted activation -> dh (rows, 2*ff) bf16, sum(a*da) (rows,) f32."""
    gate, up = h.float().chunk(2, -1)
    da = da.float()
    g = gate.clamp(max=limit)
    u = up.clamp(-limit, limit) + 1
    s = torch.sigmoid(alpha * g)
    dw = (g * s * u * da).sum(-1)
    da = da * w
    dgate = torch.where(gate < limit, da * u * s * (1 + alpha * g * (1 - s)), 0.0)
    dup = torch.where(up.abs() < limit, da * g * s, 0.0)
    return torch.cat((dgate, dup), -1).bfloat16(), dw


def compile_pointwise() -> None:
    """Fuses the element-wise functions above; everything else is matrix products already."""
    for name in ("rms_norm", "rotate", "masked_softmax", "masked_softmax_grad", "swiglu",
                 "swiglu_grad", "softmax_rows"):
        globals()[name] = torch.compile(globals()[name], dynamic=False)


class Attention(torch.autograd.Function):
    """q (B, H, T, hd), k and v (B, KV, T, hd) bf16, sink (H,) f32 -> (B, H, T, hd) bf16."""

    @staticmethod
    def spans(t: int, window: int | None):
        for start in range(0, t, BLOCK):
            yield start, min(start + BLOCK, t), 0 if window is None else max(0, start - window)

    @staticmethod
    def mask(lo: int, start: int, stop: int, window: int | None, device) -> Tensor:
        distance = torch.arange(start, stop, device=device)[:, None] - torch.arange(lo, stop, device=device)
        seen = (distance >= 0) & (distance < (window or stop + 1))
        return torch.zeros(seen.shape, device=device).masked_fill_(~seen, -math.inf)

    @staticmethod
    def forward(ctx, q, k, v, sink, window):
        b, h, t, hd = q.shape
        kv = k.shape[1]
        out = torch.empty_like(q)
        probabilities = []
        s = sink.view(1, h, 1, 1)
        for start, stop, lo in Attention.spans(t, window):
            # The heads that share a key head are folded into its query rows.
            qb = q[:, :, start:stop].reshape(b, kv, -1, hd)
            scores = (qb @ k[:, :, lo:stop].transpose(-1, -2)).view(b, h, stop - start, stop - lo)
            p = masked_softmax(scores, Attention.mask(lo, start, stop, window, q.device), s, hd**-0.5)
            out[:, :, start:stop] = (p.view(b, kv, -1, stop - lo) @ v[:, :, lo:stop]).view(b, h, -1, hd)
            probabilities.append(p)
        ctx.save_for_backward(q, k, v, *probabilities)
        ctx.window = window
        return out

    @staticmethod
    def backward(ctx, dout):
        q, k, v, *probabilities = ctx.saved_tensors
        b, h, t, hd = q.shape
        kv = k.shape[1]
        dq = torch.empty_like(q)
        dk = torch.zeros_like(k, dtype=torch.float32)
        dv = torch.zeros_like(v, dtype=torch.float32)
        dsink = torch.zeros(h, device=q.device)
        for (start, stop, lo), p in zip(Attention.spans(t, ctx.window), probabilities):
            d = dout[:, :, start:stop].reshape(b, kv, -1, hd)
            dp = (d @ v[:, :, lo:stop].transpose(-1, -2)).view_as(p)
            dv[:, :, lo:stop] += p.view(b, kv, -1, stop - lo).transpose(-1, -2) @ d
            ds, dsink_block = masked_softmax_grad(p, dp, hd**-0.5)
            dsink += dsink_block
            ds = ds.view(b, kv, -1, stop - lo)
            dq[:, :, start:stop] = (ds @ k[:, :, lo:stop]).view(b, h, -1, hd)
            dk[:, :, lo:stop] += ds.transpose(-1, -2) @ q[:, :, start:stop].reshape(b, kv, -1, hd)
        return dq, dk.bfloat16(), dv.bfloat16(), dsink, None


class Experts(torch.autograd.Function):
    """Dropless experts: rows are sorted by expert, so each expert is one pair of products.

    Each expert's rows are padded to a multiple of ROWS with rows of weight 0: a product of a new
    shape costs the CPU library more to plan than to compute.

    x (N, d) bf16; weight (N, k) f32; chosen (N, k) int64; w1 (E, 2*ff, d), b1 (E, 2*ff),
    w2 (E, d, ff), b2 (E, d) bf16 -> (N, d) bf16."""

    ROWS = 32

    @staticmethod
    def arrange(weight: Tensor, chosen: Tensor, n_expert: int):
        """place (N, k): the padded row of each choice; source (R,): the token of each padded row;
        w (R, 1): its routing weight; spans: (expert, first row, end) of those that have any."""
        n, k = chosen.shape
        flat = chosen.view(-1)
        order = torch.argsort(flat, stable=True)
        counts = torch.bincount(flat, minlength=n_expert)
        padded = (counts + Experts.ROWS - 1) // Experts.ROWS * Experts.ROWS
        shift = (padded.cumsum(0) - padded) - (counts.cumsum(0) - counts)
        row = torch.arange(n * k, device=chosen.device) + shift[flat[order]]
        size = n * k + n_expert * Experts.ROWS
        source = torch.zeros(size, dtype=torch.long, device=chosen.device)
        source[row] = torch.div(order, k, rounding_mode="floor")
        w = torch.zeros(size, device=chosen.device)
        w[row] = weight.reshape(-1)[order]
        place = torch.empty_like(order)
        place[order] = row
        ends = padded.cumsum(0).tolist()
        spans = [(e, lo, hi) for e, (lo, hi) in enumerate(zip([0] + ends, ends)) if hi > lo]
        return place, source, w[:, None], spans

    @staticmethod
    def gather_sum(rows: Tensor, place: Tensor, k: int) -> Tensor:
        return rows.index_select(0, place).view(-1, k, rows.shape[1]).float().sum(1)

    @staticmethod
    def forward(ctx, x, weight, chosen, w1, b1, w2, b2, alpha, limit):
        place, source, w, spans = Experts.arrange(weight, chosen, w1.shape[0])
        xs = x.index_select(0, source)
        h = xs.new_zeros(len(xs), w1.shape[1])
        for e, lo, hi in spans:
            torch.addmm(b1[e], xs[lo:hi], w1[e].t(), out=h[lo:hi])
        aw = swiglu(h, w, alpha, limit)
        y = torch.empty_like(xs)
        for e, lo, hi in spans:
            torch.mm(aw[lo:hi], w2[e].t(), out=y[lo:hi])
        share = torch.zeros(len(x), w1.shape[0], device=x.device).scatter_(1, chosen, weight)
        out = Experts.gather_sum(y, place, chosen.shape[1]) + share @ b2.float()
        ctx.save_for_backward(chosen, place, source, xs, w, h, aw, w1, w2, b2, share)
        ctx.extra = (spans, alpha, limit)
        return out.bfloat16()

    @staticmethod
    def backward(ctx, dout):
        chosen, place, source, xs, w, h, aw, w1, w2, b2, share = ctx.saved_tensors
        spans, alpha, limit = ctx.extra
        k = chosen.shape[1]
        dy = dout.contiguous().index_select(0, source)
        da = torch.zeros_like(aw)
        dw1, dw2 = torch.zeros_like(w1), torch.zeros_like(w2)
        db1 = torch.zeros(w1.shape[:2], device=xs.device)
        for e, lo, hi in spans:
            torch.mm(dy[lo:hi], w2[e], out=da[lo:hi])
            torch.mm(dy[lo:hi].t(), aw[lo:hi], out=dw2[e])
        dh, dw = swiglu_grad(h, da, w, alpha, limit)
        dxs = torch.empty_like(xs)
        for e, lo, hi in spans:
            torch.mm(dh[lo:hi], w1[e], out=dxs[lo:hi])
            torch.mm(dh[lo:hi].t(), xs[lo:hi], out=dw1[e])
            db1[e] = dh[lo:hi].sum(0, dtype=torch.float32)
        dx = Experts.gather_sum(dxs, place, k).bfloat16()
        db2 = share.t() @ dout.float()
        bias_part = dout.float() @ b2.float().t()  # (N, E): what b2 adds to each weight's gradient
        dweight = dw[place].view(-1, k) + bias_part.gather(1, chosen)
        return dx, dweight, None, dw1, db1.bfloat16(), dw2, db2.bfloat16(), None, None


def softmax_rows(logits: Tensor) -> tuple[Tensor, Tensor]:
    """logits (rows, V) bf16 -> log of the normaliser (rows,) f32, probabilities (rows, V) bf16."""
    z = logits.float()
    top = z.amax(-1, keepdim=True)
    log_sum = top + torch.log(torch.exp(z - top).sum(-1, keepdim=True))
    return log_sum.squeeze(-1), torch.exp(z - log_sum).bfloat16()


class HeadLoss(torch.autograd.Function):
    """Mean cross-entropy of x @ head^T without holding all the logits.

    x (N, d) bf16, head (V, d) bf16, target (N,) -> scalar f32. Gradients are made on the way."""

    ROWS = 512

    @staticmethod
    def forward(ctx, x, head, target):
        rows = HeadLoss.ROWS if x.device.type == "cpu" else 16384
        dx = torch.empty_like(x)
        dhead = torch.zeros_like(head, dtype=torch.float32)
        loss = x.new_zeros((), dtype=torch.float32)
        for lo in range(0, len(x), rows):
            part = x[lo : lo + rows]
            logits = part @ head.t()
            hot = target[lo : lo + rows, None]
            log_sum, dz = softmax_rows(logits)
            loss += (log_sum - logits.gather(1, hot).squeeze(1).float()).sum()
            dz.scatter_add_(1, hot, dz.new_full(hot.shape, -1.0))
            dx[lo : lo + rows] = dz @ head
            dhead += dz.t() @ part
        ctx.save_for_backward(dx, dhead)
        ctx.n = len(x)
        return loss / len(x)

    @staticmethod
    def backward(ctx, grad):
        dx, dhead = ctx.saved_tensors
        scale = grad / ctx.n
        return (dx.float() * scale).bfloat16(), (dhead * scale).bfloat16(), None


class Layer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        width = (c.n_head + 2 * c.n_kv_head) * c.head_dim

        def matrix(*shape, gain=1.0):
            return nn.Parameter(torch.randn(*shape) * gain * shape[-1] ** -0.5)

        def zeros(*shape):
            return nn.Parameter(torch.zeros(*shape))

        self.attn_norm = nn.Parameter(torch.ones(c.d_model))
        self.qkv = matrix(width, c.d_model)
        self.qkv_bias = zeros(width)
        self.sinks = zeros(c.n_head)
        self.o = zeros(c.d_model, c.n_head * c.head_dim)
        self.o_bias = zeros(c.d_model)
        self.mlp_norm = nn.Parameter(torch.ones(c.d_model))
        self.router = matrix(c.n_expert, c.d_model, gain=0.5)
        self.router_bias = zeros(c.n_expert)
        self.w1 = matrix(c.n_expert, 2 * c.d_ff, c.d_model)  # rows: gates, then linear halves
        self.b1 = zeros(c.n_expert, 2 * c.d_ff)
        self.w2 = zeros(c.n_expert, c.d_model, c.d_ff)
        self.b2 = zeros(c.n_expert, c.d_model)


class Model(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.config = c
        self.embed = nn.Parameter(torch.randn(c.vocab, c.d_model) * 0.5)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.n_layer))
        self.norm = nn.Parameter(torch.ones(c.d_model))
        self.unembed = nn.Parameter(torch.zeros(c.vocab, c.d_model))

    def rope(self, t: int, device) -> tuple[Tensor, Tensor]:
        c = self.config
        rate = c.rope_theta ** (-torch.arange(0, c.head_dim, 2, device=device).float() / c.head_dim)
        angle = torch.arange(t, device=device).float()[:, None] * rate
        return angle.cos(), angle.sin()

    def forward(self, tokens: Tensor, target: Tensor, load: Tensor, weights: dict | None = None):
        """tokens, target (B, T); load (L, E) f32: the recent share of choices of each expert,
        against which the balance loss is taken. weights: replacements of parameters by name (the
        quantised experts). Returns the loss, the sums over layers of balance loss and z-loss, and the
        counts (L, E)."""
        c = self.config
        b, t = tokens.shape
        n = b * t
        weights = weights or {}
        cos, sin = self.rope(t, tokens.device)
        x = F.embedding(tokens.reshape(-1), self.embed)
        balance = x.new_zeros(())
        z_loss = x.new_zeros(())
        counts = []
        for i, layer in enumerate(self.layers):
            h = rms_norm(x, layer.attn_norm, c.norm_eps)
            qkv = F.linear(h, layer.qkv.bfloat16(), layer.qkv_bias.bfloat16()).view(b, t, -1, c.head_dim)
            qk, v = qkv.transpose(1, 2).split((c.n_head + c.n_kv_head, c.n_kv_head), 1)
            qk = rotate(qk, cos, sin)
            q, k = qk.split((c.n_head, c.n_kv_head), 1)
            window = c.window if i % 2 == 0 else None
            a = Attention.apply(q, k, v.contiguous(), layer.sinks, window)
            a = a.transpose(1, 2).reshape(n, -1)
            x = x + F.linear(a, layer.o.bfloat16(), layer.o_bias.bfloat16())

            h = rms_norm(x, layer.mlp_norm, c.norm_eps)
            logits = F.linear(h.float(), layer.router, layer.router_bias)
            top, chosen = torch.topk(logits, c.top_k)
            count = torch.bincount(chosen.view(-1), minlength=c.n_expert)
            counts.append(count)
            balance = balance + c.n_expert * (load[i] * torch.softmax(logits, -1).mean(0)).sum()
            z_loss = z_loss + torch.logsumexp(logits, -1).pow(2).mean()
            w1 = weights.get(f"layers.{i}.w1", layer.w1).bfloat16()
            w2 = weights.get(f"layers.{i}.w2", layer.w2).bfloat16()
            x = x + Experts.apply(h, torch.softmax(top, -1), chosen, w1, layer.b1.bfloat16(), w2,
                                  layer.b2.bfloat16(), c.swiglu_alpha, c.swiglu_limit)
        h = rms_norm(x, self.norm, c.norm_eps)
        loss = HeadLoss.apply(h, self.unembed.bfloat16(), target.reshape(-1))
        return loss, balance, z_loss, torch.stack(counts)
