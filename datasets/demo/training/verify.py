# SPDX-License-Identifier: Apache-2.0
"""Checks that an exported model, the engine, the training code and transformers are one model.

    verify.py MODEL.gguf DATA --tokenizer tokenizer.json [--moescope PATH] [--windows N]
              [--checkpoint RUN/checkpoint.pt] [--hf FOLDER] [--json OUT.json] [--witness OUT.json]

1. With --checkpoint: the GGUF's experts are bit for bit what the training's quantiser gives.
2. Mean loss by domain on the first N windows of 1,024 tokens of DATA/valid_DOMAIN.npy: `moescope
   score`, reference.py and (with --checkpoint) the training code in bfloat16. The first token of a
   window has nothing before it and is not scored: 1,023 losses each. All within 0.005 nats.
3. Greedy continuations of 64 tokens on one prompt a domain: `moescope generate` and reference.py
   agree token for token.
4. With --hf: the folder holds the GGUF's values exactly, and the losses of transformers and of the
   engine on one window of it agree.

--witness keeps what reference.py computed, a little of each domain, for tests/engine/
test_demo_models.cpp: the continuous integration has no PyTorch.

Exits with 1 when a check fails."""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from data import DOMAINS
from model import Config, Model
from mxfp4 import fake_quantize
from reference import Reference

WINDOW = 1024
TOLERANCE = 0.005  # nats per token
PROMPT, CONTINUATION = 24, 64
WITNESS = 256  # tokens of a domain whose mean loss is kept


def windows(data: Path, domain: str, count: int) -> list[list[int]]:
    stream = np.load(data / f"valid_{domain}.npy").astype(np.int64)
    count = min(count, len(stream) // WINDOW)
    return stream[: count * WINDOW].reshape(count, WINDOW).tolist()


class Engine:
    def __init__(self, program: Path, model: Path, threads: int):
        self.program, self.model, self.options = program, model, ["--threads", str(threads)]

    def run(self, command: str, *arguments: str) -> dict:
        done = subprocess.run([self.program, command, self.model, *arguments, *self.options, "--json",
                               "--progress=off"], capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"moescope {command}: {done.stderr.decode(errors='replace')}")
        return json.loads(done.stdout)

    def losses(self, texts: list[list[int]]) -> list[np.ndarray]:
        """Nats of every token but the first of each window."""
        with tempfile.TemporaryDirectory() as folder:
            asked, given = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
            asked.write_text("".join(json.dumps({"tokens": t}) + "\n" for t in texts))
            self.run("score", f"--input={asked}", f"--output={given}")
            lines = [json.loads(line) for line in given.read_text().splitlines()]
        return [-np.array(line["logprobs"][1:]) for line in lines]

    def greedy(self, prompt: str) -> tuple[int, list[int]]:
        result = self.run("generate", f"--prompt={prompt}", "--temperature=0", f"--tokens={CONTINUATION}")
        return result["prompt_tokens"], result["tokens"]


class Training:
    """The training code as it runs in the finish: bfloat16, experts through MXFP4 and back."""

    def __init__(self, state: dict):
        self.net = Model(Config(**state["config"]))
        self.net.load_state_dict(state["model"])
        c = self.net.config
        self.quantised = {n: fake_quantize(p.detach()) for n, p in self.net.named_parameters()
                          if n.endswith((".w1", ".w2"))}
        self.load = torch.zeros(c.n_layer, c.n_expert)

    @torch.no_grad()
    def loss(self, texts: list[list[int]]) -> float:
        x = torch.tensor(texts)
        return self.net(x[:, :-1], x[:, 1:], self.load, self.quantised)[0].item()


def same_experts(reference: Reference, training: Training) -> bool:
    for layer in range(reference.key("block_count")):
        gate, up, down = (reference.tensors[f"blk.{layer}.ffn_{part}_exps.weight"]
                          for part in ("gate", "up", "down"))
        if not (torch.equal(torch.cat((gate, up), 1), training.quantised[f"layers.{layer}.w1"])
                and torch.equal(down, training.quantised[f"layers.{layer}.w2"])):
            return False
    return True


def compare_losses(a: argparse.Namespace, engine: Engine, reference: Reference,
                   training: Training | None) -> dict:
    rows = {}
    for domain in DOMAINS:
        texts = windows(a.data, domain, a.windows)
        ours = np.concatenate(engine.losses(texts))
        theirs = -torch.cat([reference.log_probabilities(t) for t in texts]).numpy()
        rows[domain] = {"tokens": len(ours), "engine": float(ours.mean()), "reference": float(theirs.mean()),
                        "largest_token_difference": float(np.abs(ours - theirs).max())}
        if training:
            rows[domain]["training"] = training.loss(texts)
    mean = {k: float(np.mean([r[k] for r in rows.values()]))
            for k in ("engine", "reference", "training") if k in rows[DOMAINS[0]]}
    columns = list(mean)
    spread = max(abs(r[k] - r["engine"]) for r in rows.values() for k in columns)
    print(f"{'nats per token':<15}" + "".join(f"{k:>11}" for k in columns) + f"{'largest':>11}")
    for domain, r in rows.items():
        print(f"{domain:<15}" + "".join(f"{r[k]:>11.5f}" for k in columns)
              + f"{max(abs(r[k] - r['engine']) for k in columns):>11.5f}")
    print(f"{'mean':<15}" + "".join(f"{mean[k]:>11.5f}" for k in columns) + f"{spread:>11.5f}")
    return {"domains": rows, "mean": mean, "largest_difference": spread, "agrees": spread < TOLERANCE}


def prompt_of(stream: np.ndarray, end: int, tokenizer: Tokenizer) -> tuple[str, list[int]]:
    """The first tokens of the first long enough document as a text, and the text's tokens: a cut
    may fall inside a character, and a text need not give back the tokens it was cut from."""
    ends = np.flatnonzero(stream == end)
    starts = np.concatenate(([0], ends[:-1] + 1))
    start = int(starts[ends - starts >= 4 * PROMPT][0])
    ids = stream[start : start + PROMPT].tolist()
    while "\ufffd" in (text := tokenizer.decode(ids, skip_special_tokens=False)):
        ids.pop()
    return text, tokenizer.encode(text, add_special_tokens=False).ids


def explain(reference: Reference, tokens: list[int], ours: list[int], theirs: list[int]) -> dict:
    """Where two continuations part, and how near the reference's logits of the two tokens are."""
    at = next((i for i, (x, y) in enumerate(zip(ours, theirs)) if x != y), min(len(ours), len(theirs)))
    if at == len(ours) or at == len(theirs):
        return {"at": at, "engine": len(ours), "reference": len(theirs), "gap": None}
    logits = reference.logits(tokens + theirs[:at])[-1]
    return {"at": at, "engine": ours[at], "reference": theirs[at],
            "gap": float(logits[theirs[at]] - logits[ours[at]])}


def compare_generations(a: argparse.Namespace, engine: Engine, reference: Reference) -> dict:
    tokenizer = Tokenizer.from_file(str(a.tokenizer))
    end = tokenizer.token_to_id("<|endoftext|>")
    rows = {}
    for domain in DOMAINS:
        prompt, ids = prompt_of(np.load(a.data / f"valid_{domain}.npy").astype(np.int64), end, tokenizer)
        count, ours = engine.greedy(prompt)
        theirs, gaps = reference.greedy(ids, CONTINUATION)
        row = {"prompt": prompt, "prompt_tokens": len(ids), "same_prompt": count == len(ids),
               "tokens": len(theirs), "same": ours == theirs, "smallest_gap": min(gaps),
               "prompt_ids": ids, "continuation": theirs}
        if not row["same"]:
            row["parting"] = explain(reference, ids, ours, theirs)
        rows[domain] = row
        print(f"{domain:<15}{len(ids):>4} + {len(theirs)} tokens, {'same' if row['same'] else 'DIFFERENT'}, "
              f"smallest lead {min(gaps):.5f}" + (f", {row['parting']}" if "parting" in row else ""))
    return {"prompts": rows, "agrees": all(r["same"] and r["same_prompt"] for r in rows.values())}


def write_witness(path: Path, data: Path, reference: Reference, greedy: dict) -> None:
    rows = []
    for domain in DOMAINS:
        text = windows(data, domain, 1)[0][:WITNESS]
        rows.append({"domain": domain, "tokens": text,
                     "loss": -reference.log_probabilities(text).mean().item(),
                     "prompt": greedy["prompts"][domain]["prompt_ids"],
                     "continuation": greedy["prompts"][domain]["continuation"]})
    path.write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n", encoding="utf-8")


def compare_folder(a: argparse.Namespace, reference: Reference) -> dict:
    from transformers import AutoModelForCausalLM, AutoTokenizer, Mxfp4Config

    net = AutoModelForCausalLM.from_pretrained(
        a.hf, dtype=torch.float32, attn_implementation="eager",
        quantization_config=Mxfp4Config(dequantize=True)).eval()
    names = AutoTokenizer.from_pretrained(a.hf)
    text = windows(a.data, DOMAINS[0], 1)[0]
    with torch.no_grad():
        logits = net(torch.tensor([text[:-1]])).logits[0].float()
    theirs = -torch.log_softmax(logits, -1).gather(1, torch.tensor(text[1:])[:, None]).mean().item()
    ours = -reference.log_probabilities(text).mean().item()
    engine = float(Engine(a.moescope, a.hf, a.threads).losses([text])[0].mean())
    equal = same_values(reference, net)
    spelled = names.decode(text) == Tokenizer.from_file(str(a.tokenizer)).decode(text, skip_special_tokens=False)
    print(f"folder: transformers {theirs:.5f}, engine {engine:.5f}, reference {ours:.5f}; weights "
          f"{'equal' if equal else 'DIFFERENT'}, tokenizer {'equal' if spelled else 'DIFFERENT'}")
    return {"transformers": theirs, "engine": engine, "reference": ours, "same_values": equal,
            "same_tokenizer": spelled,
            "agrees": equal and spelled and max(abs(theirs - ours), abs(engine - ours)) < TOLERANCE}


def same_values(reference: Reference, net: torch.nn.Module) -> bool:
    """Every parameter that transformers holds equals the GGUF's."""
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm",
             "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.router": "ffn_gate_inp"}
    for layer in range(reference.key("block_count")):
        names |= {f"model.layers.{layer}.{hf}": f"blk.{layer}.{ours}" for hf, ours in parts.items()}
    for name, value in net.state_dict().items():
        stem, _, kind = name.rpartition(".")
        if kind == "sinks":
            expected = reference.tensors[f"blk.{name.split('.')[2]}.attn_sinks.weight"]
        elif ".experts" in name:
            expected = expert_parameter(reference, f"blk.{name.split('.')[2]}.", kind)
        else:
            expected = reference.tensors[f"{names[stem]}.{kind}"]
        if not torch.equal(value.float(), expected):
            print(f"{name}: differs from the GGUF")
            return False
    return True


def expert_parameter(reference: Reference, prefix: str, kind: str) -> torch.Tensor:
    """As transformers keeps them once dequantised: (E, in, out), gates in the even columns."""
    part = "bias" if kind.endswith("_bias") else "weight"
    if kind.startswith("down_proj"):
        value = reference.tensors[f"{prefix}ffn_down_exps.{part}"]
    else:
        gate, up = (reference.tensors[f"{prefix}ffn_{n}_exps.{part}"] for n in ("gate", "up"))
        value = torch.stack((gate, up), 2).flatten(1, 2)
    return value if part == "bias" else value.transpose(1, 2)


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("model", type=Path)
    p.add_argument("data", type=Path)
    p.add_argument("--tokenizer", type=Path, required=True)
    p.add_argument("--moescope", type=Path, default=Path("moescope"))
    p.add_argument("--checkpoint", type=Path)
    p.add_argument("--hf", type=Path)
    p.add_argument("--windows", type=int, default=2)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--json", type=Path)
    p.add_argument("--witness", type=Path)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    reference = Reference(a.model)
    engine = Engine(a.moescope, a.model, a.threads)
    result = {"model": a.model.name, "bytes": a.model.stat().st_size,
              "tokens_seen": reference.keys["moescope.training.tokens"]}
    training = None
    if a.checkpoint:
        state = torch.load(a.checkpoint, map_location="cpu", weights_only=False)
        if state["step"] != reference.keys["moescope.training.steps"]:
            raise SystemExit(f"{a.checkpoint} is at step {state['step']}, {a.model} was written at step "
                             f"{reference.keys['moescope.training.steps']}")
        training = Training(state)
        result["experts"] = {"agrees": same_experts(reference, training)}
        print(f"experts as the training quantises them: {result['experts']['agrees']}")
    result["loss"] = compare_losses(a, engine, reference, training)
    result["greedy"] = compare_generations(a, engine, reference)
    if a.hf:
        result["folder"] = compare_folder(a, reference)
    result["agrees"] = all(part["agrees"] for part in result.values() if isinstance(part, dict))
    print("all agree" if result["agrees"] else "NOT all agree")
    if a.witness:
        write_witness(a.witness, a.data, reference, result["greedy"])
    if a.json:
        a.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(0 if result["agrees"] else 1)


if __name__ == "__main__":
    main()
