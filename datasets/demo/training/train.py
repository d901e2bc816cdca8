# SPDX-License-Identifier: Apache-2.0
"""Trains one demo model: base, wide or deep. See README.md for the whole recipe.

    train.py --model base --data DATA --out RUN [--steps N] [--resume]

The run can be stopped at any time and resumed: the checkpoint holds parameters, optimiser state,
the position in the data and the step. Same seed, same machine, same threads: same weights."""

import argparse
import csv
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch

import model as model_module
import mxfp4
from data import DOMAINS, Mixture
from model import CONFIGS, Model

MATRICES = ("qkv", "o", "w1", "w2")
LENGTH = 512  # of a sequence; in the finish
LONG = 1024
WARM_UP = 50  # steps
DECAY = 0.3


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser()
    p.add_argument("--model", choices=CONFIGS, required=True)
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--steps", type=int, default=4000)
    p.add_argument("--batch", type=int, default=4096, help="tokens in a step")
    p.add_argument("--micro", type=int, default=4096, help="tokens in one forward pass")
    p.add_argument("--finish", type=float, default=0.2, help="share of steps with longer sequences and quantised experts")
    p.add_argument("--no-quantize", action="store_true", help="finish without quantisation (an ablation)")
    p.add_argument("--lr-muon", type=float, default=0.012)
    p.add_argument("--lr-adam", type=float, default=0.005)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--eval-every", type=int, default=250)
    p.add_argument("--save-every", type=int, default=100)
    p.add_argument("--resume", action="store_true")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return p.parse_args()


def orthogonalize(g: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz iteration of Muon (Jordan et al. 2024) on a batch of matrices (N, rows, cols)."""
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        s = x @ x.mT
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * (s @ s)) @ x
    return (x.mT if tall else x).float()


class Muon:
    """Momentum, orthogonalised. Matrices of one shape, all layers and experts, go as one batch."""

    def __init__(self, groups: list[list[torch.nn.Parameter]], momentum=0.95, decay=0.05):
        self.groups, self.momentum, self.decay = groups, momentum, decay
        self.buffers = [torch.zeros_like(torch.stack(list(g))) for g in groups]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for group, buffer in zip(self.groups, self.buffers):
            grad = torch.stack([p.grad for p in group])
            buffer.lerp_(grad, 1 - self.momentum)
            update = grad.lerp_(buffer, self.momentum)
            shape = update.shape
            update = orthogonalize(update.flatten(0, -3)).view(shape)
            gain = lr * math.sqrt(max(1.0, shape[-2] / shape[-1]))
            for p, u in zip(group, update):
                p.mul_(1 - lr * self.decay).sub_(u, alpha=gain)


def lr_factor(step: int, steps: int) -> float:
    """Warm-up, constant, and linear to 2 % of the peak over the last DECAY of the steps. Before the
    decay nothing depends on `steps`: a longer run can start from the checkpoint kept there."""
    flat = round((1 - DECAY) * steps)
    if step < flat:
        return min(1.0, (step + 1) / WARM_UP)
    return 1.0 - 0.98 * (step - flat) / (steps - flat)


@torch.no_grad()
def validate(net: Model, data: Path, length: int, limit: int, weights: dict, device: str) -> dict[str, float]:
    """Nats per token by domain, on the first `limit` windows of each."""
    load = torch.full((net.config.n_layer, net.config.n_expert), 0.0, device=device)
    result = {}
    for domain in DOMAINS:
        stream = np.load(data / f"valid_{domain}.npy").astype(np.int64)
        n = min(limit, (len(stream) - 1) // length)
        x = torch.from_numpy(stream[: n * length].reshape(n, length)).to(device)
        y = torch.from_numpy(stream[1 : n * length + 1].reshape(n, length)).to(device)
        losses = [net(x[i : i + 4], y[i : i + 4], load, weights)[0].item() * len(x[i : i + 4])
                  for i in range(0, n, 4)]
        result[domain] = sum(losses) / n
    return result


def main() -> None:
    a = arguments()
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)  # tiny probabilities otherwise halve the speed on a CPU
    torch.manual_seed(a.seed)
    model_module.compile_pointwise()
    fake_quantize = torch.compile(mxfp4.fake_quantize)
    config = CONFIGS[a.model]
    net = Model(config).to(a.device)
    named = dict(net.named_parameters())
    matrices = [[p for n, p in named.items() if n.split(".")[-1] == kind] for kind in MATRICES]
    tables = [p for n, p in named.items() if "embed" in n or n.endswith("router")]
    vectors = [p for n, p in named.items()
               if "embed" not in n and not n.endswith("router") and n.split(".")[-1] not in MATRICES]
    muon = Muon(matrices)
    adam = torch.optim.AdamW([{"params": tables, "weight_decay": 0.01},
                              {"params": vectors, "weight_decay": 0.0}],
                             betas=(0.9, 0.95), eps=1e-10, lr=a.lr_adam, fused=True)
    mixture = Mixture(a.data, a.seed)
    load = torch.full((config.n_layer, config.n_expert), 1 / config.n_expert, device=a.device)
    first = 0
    checkpoint = a.out / "checkpoint.pt"
    a.out.mkdir(parents=True, exist_ok=True)
    if a.resume and checkpoint.exists():
        state = torch.load(checkpoint, map_location=a.device, weights_only=False)
        net.load_state_dict(state["model"])
        adam.load_state_dict(state["adam"])
        muon.buffers = state["muon"]
        mixture.used, load, first = state["used"], state["load"], state["step"]

    def save(step: int, path: Path = checkpoint) -> None:
        part = path.with_suffix(".part")
        torch.save({"config": config.to_dict(), "model": net.state_dict(), "adam": adam.state_dict(),
                    "muon": muon.buffers, "used": mixture.used, "load": load, "step": step,
                    "tokens": step * a.batch, "arguments": vars(a)}, part)
        os.replace(part, path)

    stop = False

    def on_signal(*_):
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    finish_from = round(a.steps * (1 - a.finish))
    experts = [n for n in named if n.split(".")[-1] in ("w1", "w2")]
    log_path = a.out / "log.csv"
    if first > 0:  # rows past the checkpoint are computed again
        rows = log_path.read_text().splitlines(keepends=True)
        log_path.write_text("".join(r for r in rows if not r[0].isdigit() or int(r.split(",")[0]) <= first))
    log = log_path.open("a" if first else "w", newline="")
    writer = csv.writer(log)
    if first == 0:
        writer.writerow(["step", "tokens", "seconds", "loss", "balance", "max_over_mean", "lr"]
                        + [f"valid_{d}" for d in DOMAINS] + ["valid_mean"])
    begin = time.perf_counter()
    for step in range(first, a.steps):
        finish = step >= finish_from
        quantize = finish and not a.no_quantize
        if step == finish_from and not a.no_quantize:
            save(step, a.out / "before_finish.pt")
        if step == round((1 - DECAY) * a.steps):
            save(step, a.out / "before_decay.pt")
        length = LONG if finish else LENGTH
        factor = lr_factor(step, a.steps)
        tokens, targets = (torch.from_numpy(t).to(a.device) for t in mixture.batch(step, a.batch, length))
        weights = {n: fake_quantize(named[n].detach()).requires_grad_() for n in experts} if quantize else {}
        rows = a.micro // length
        passes = len(tokens) // rows
        loss_sum = torch.zeros((), device=a.device)
        balance_sum = torch.zeros((), device=a.device)
        counts = torch.zeros_like(load)
        # The balance loss falls from 0.012 to 0.005, so that experts specialise once all are alive.
        balance_weight = 0.012 * 0.42 ** min(1.0, step / 1250)
        for i in range(passes):
            part = slice(i * rows, (i + 1) * rows)
            loss, balance, z_loss, count = net(tokens[part], targets[part], load, weights)
            ((loss + balance_weight * balance + 1e-5 * z_loss) / passes).backward()
            loss_sum += loss.detach()
            balance_sum += balance.detach()
            counts += count
        load = 0.9 * load + 0.1 * counts / counts.sum(1, keepdim=True)
        for name, w in weights.items():
            named[name].grad = w.grad
        torch.nn.utils.clip_grad_norm_(tables + vectors, 1.0)
        muon.step(a.lr_muon * factor)
        for group in adam.param_groups:
            group["lr"] = a.lr_adam * factor
        adam.step()
        net.zero_grad(set_to_none=True)
        done = step + 1
        row = [done, done * a.batch, f"{time.perf_counter() - begin:.1f}",
               f"{loss_sum.item() / passes:.4f}", f"{balance_sum.item() / passes / config.n_layer:.4f}",
               f"{(counts.amax(1) / counts.mean(1)).max().item():.3f}", f"{factor:.4f}"]
        if done % a.eval_every == 0 or done == a.steps:
            full = done == a.steps
            quantised = {n: fake_quantize(named[n].detach()) for n in experts} if quantize else {}
            valid = validate(net, a.data, length, 10**9 if full else 12, quantised, a.device)
            row += [f"{v:.4f}" for v in valid.values()] + [f"{sum(valid.values()) / len(valid):.4f}"]
        writer.writerow(row)
        log.flush()
        if done % a.save_every == 0 or done == a.steps or stop:
            save(done)
        if stop:
            break


if __name__ == "__main__":
    main()
