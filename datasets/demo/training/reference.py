# SPDX-License-Identifier: Apache-2.0
"""A float32 forward pass of a gpt-oss GGUF, written from the description of the architecture
(gpt-oss model card, arXiv 2508.10925) and for clearness alone: no cache, no batching, no code of
model.py. It is what the engine and the training code are both measured against.

    reference.py MODEL.gguf TOKEN...      prints 16 greedy tokens after the given ones"""

import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

SWIGLU_ALPHA, SWIGLU_LIMIT = 1.702, 7.0  # constants of the architecture, not in the file


class Reference:
    def __init__(self, path: Path):
        reader = gguf.GGUFReader(path)
        self.keys = {name: field.contents() for name, field in reader.fields.items()
                     if not name.startswith("tokenizer.")}
        self.stop = {int(reader.fields[f"tokenizer.ggml.{key}_token_id"].contents())
                     for key in ("eos", "eot") if f"tokenizer.ggml.{key}_token_id" in reader.fields}
        # Dequantised by the gguf package, which is the format's own reading of the bytes.
        self.tensors = {t.name: torch.from_numpy(np.array(gguf.dequantize(t.data, t.tensor_type)))
                        for t in reader.tensors}
        self.heads = self.key("attention.head_count")
        self.kv_heads = self.key("attention.head_count_kv")
        self.head_dim = self.key("attention.key_length")

    def key(self, name: str):
        return self.keys["gpt-oss." + name]

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean_square = x.pow(2).mean(-1, keepdim=True)
        return x / torch.sqrt(mean_square + self.key("attention.layer_norm_rms_epsilon")) * self.tensors[name]

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def rotated(self, x: Tensor) -> Tensor:
        """x (heads, T, head_dim): element i turns with element i + head_dim / 2."""
        half = self.head_dim // 2
        frequency = self.key("rope.freq_base") ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency
        cos, sin = angle.cos().float(), angle.sin().float()
        first, second = x[..., :half], x[..., half:]
        return torch.cat((first * cos - second * sin, first * sin + second * cos), -1)

    def attention(self, x: Tensor, layer: int) -> Tensor:
        prefix, t = f"blk.{layer}.", len(x)
        q, k, v = (self.linear(x, prefix + name).view(t, -1, self.head_dim).transpose(0, 1)
                   for name in ("attn_q", "attn_k", "attn_v"))
        q, k = self.rotated(q), self.rotated(k)
        group = self.heads // self.kv_heads  # query head h reads key head h // group
        k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
        distance = torch.arange(t)[:, None] - torch.arange(t)
        hidden = distance < 0
        if layer % 2 == 0:
            hidden |= distance >= self.key("attention.sliding_window")
        scores = (q @ k.transpose(1, 2) / self.head_dim**0.5).masked_fill(hidden, -torch.inf)
        # The sink is one more key whose score is learned and whose value is nothing.
        sink = self.tensors[prefix + "attn_sinks.weight"].view(-1, 1, 1).expand(-1, t, 1)
        shares = torch.softmax(torch.cat((scores, sink), -1), -1)[..., :-1]
        return self.linear((shares @ v).transpose(0, 1).reshape(t, -1), prefix + "attn_output")

    def expert(self, x: Tensor, prefix: str, e: int) -> Tensor:
        def projection(name: str, value: Tensor) -> Tensor:
            name = f"{prefix}ffn_{name}_exps"
            return value @ self.tensors[name + ".weight"][e].T + self.tensors[name + ".bias"][e]

        gate = projection("gate", x).clamp(max=SWIGLU_LIMIT)
        up = projection("up", x).clamp(-SWIGLU_LIMIT, SWIGLU_LIMIT)
        return projection("down", gate * torch.sigmoid(SWIGLU_ALPHA * gate) * (up + 1))

    def mixture(self, x: Tensor, layer: int) -> Tensor:
        prefix = f"blk.{layer}."
        top, chosen = torch.topk(self.linear(x, prefix + "ffn_gate_inp"), self.key("expert_used_count"))
        share = torch.softmax(top, -1)
        out = torch.zeros_like(x)
        for e in range(self.key("expert_count")):
            rows, place = torch.where(chosen == e)
            if len(rows):
                out[rows] += share[rows, place, None] * self.expert(x[rows], prefix, e)
        return out

    @torch.no_grad()
    def logits(self, tokens: list[int]) -> Tensor:
        """(T, vocab): what follows each of the tokens."""
        x = self.tensors["token_embd.weight"][torch.tensor(tokens)]
        for layer in range(self.key("block_count")):
            x = x + self.attention(self.norm(x, f"blk.{layer}.attn_norm.weight"), layer)
            x = x + self.mixture(self.norm(x, f"blk.{layer}.post_attention_norm.weight"), layer)
        return self.norm(x, "output_norm.weight") @ self.tensors["output.weight"].T

    def log_probabilities(self, tokens: list[int]) -> Tensor:
        """(T - 1): of every token but the first, given those before it."""
        all_of_them = torch.log_softmax(self.logits(tokens[:-1]), -1)
        return all_of_them.gather(1, torch.tensor(tokens[1:])[:, None]).squeeze(1)

    def greedy(self, tokens: list[int], count: int) -> tuple[list[int], list[float]]:
        """The likeliest continuation, ended after a stop token, and at each step by how much its
        logit leads the second."""
        tokens, gaps, start = list(tokens), [], len(tokens)
        while len(tokens) - start < count and (len(tokens) == start or tokens[-1] not in self.stop):
            best = torch.topk(self.logits(tokens)[-1], 2)
            tokens.append(int(best.indices[0]))
            gaps.append(float(best.values[0] - best.values[1]))
        return tokens[start:], gaps


if __name__ == "__main__":
    print(Reference(Path(sys.argv[1])).greedy([int(t) for t in sys.argv[2:]], 16)[0])
