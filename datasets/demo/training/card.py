# SPDX-License-Identifier: Apache-2.0
"""Runs the moescope commands behind the model card and writes ../MODEL_CARD.md.

    card.py --bin BUILD/bin/moescope --windows windows.jsonl --runs RUNS --work FOLDER

windows.jsonl: make_heldout.py --windows. RUNS: the folders that train.py wrote (base, wide, deep),
for the tokens seen, with float and ablation checkpoints exported beside them as FOLDER/NAME.gguf
(see EXTRA). Each command's JSON is kept in FOLDER and not run again while the model is the same; the
text around the tables is card.in.md."""

import argparse
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = {"base": "demo", "wide": "demo-wide", "deep": "demo-deep"}
# Exports that only the table of quantisation costs needs; a missing one leaves its cell empty.
EXTRA = ("float", "plain-float", "plain-mxfp4")
PROMPTS = [
    "The captain of the ship said that", "Once upon a time there was", "It was a dark night, and",
    "The old man looked at the child and", "In the beginning", "Every person who violates this section shall",
    "The Secretary may, in accordance with", "The economy of the country is based on",
    "The population of the island", "When the king heard this, he", "My dear sister,",
    "She opened the door and saw", "And the Lord said unto Moses,", "The agency launched a new website",
    "The question of liberty is", "There were three brothers who", "He took off his hat and",
    "In the evening the children", "They walked along the river until", "The law requires that",
    "def main():\n", "#include <iostream>\n", "러스트는"]
BENCH_ROUNDS = 5
ENGLISH = 20  # of PROMPTS; the rest shows the other domains


def run(moescope: Path, keep: Path, *arguments: str) -> dict:
    """The JSON document of one command, from `keep` when it has been run."""
    if not keep.exists():
        keep.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([moescope, *arguments, "--json", "--progress", "off"], check=True,
                              stdout=subprocess.PIPE)
        keep.write_bytes(done.stdout)
    return json.loads(keep.read_text(encoding="utf-8"))


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


class Card:
    def __init__(self, a: argparse.Namespace):
        self.a = a
        self.identity = {m: self.inspect(n)["identity"][:12] for m, n in MODELS.items()}

    def inspect(self, name: str) -> dict:
        done = subprocess.run([self.a.bin, "inspect", name, "--json"], check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def keep(self, model: str, what: str) -> Path:
        return self.a.work / self.identity[model] / f"{what}.json"

    def score(self, model: str, name: str, what: str) -> dict:
        keep = self.keep(model, f"score-{what}")
        return run(self.a.bin, keep, "score", name, "--input", str(self.a.windows), "--output",
                   str(keep.with_suffix(".jsonl")))

    def losses(self) -> str:
        scores = {m: self.score(m, n, "shipped") for m, n in MODELS.items()}
        groups = [g["group"] for g in scores["base"]["groups"]]
        rows = []
        for i, group in enumerate(groups):
            cells = [group, f"{scores['base']['groups'][i]['scored_tokens']:,}"]
            for s in scores.values():
                g = s["groups"][i]
                cells += [f"{g['nats_per_token']:.3f}", f"{g['bits_per_byte']:.3f}"]
            rows.append(cells)
        rows.append(["**all tokens**", f"{scores['base']['scored_tokens']:,}"] + [
            f"{s[k]:.3f}" for s in scores.values() for k in ("nats_per_token", "bits_per_byte")])
        rows.append(["mean of domains", ""] + [
            f"{s['macro'][k]:.3f}" for s in scores.values() for k in ("nats_per_token", "bits_per_byte")])
        head = ["domain", "tokens"] + [f"{m}, {u}" for m in MODELS for u in ("nats/token", "bits/byte")]
        return table(head, rows)

    def quantisation(self) -> str:
        rows = []
        for model, name in MODELS.items():
            cells = [model]
            values = {}
            for what in EXTRA:
                file = self.a.work / f"{model}-{what}.gguf"
                values[what] = self.score(model, str(file), what)["nats_per_token"] if file.exists() else None
            values["shipped"] = self.score(model, name, "shipped")["nats_per_token"]

            def cell(x: float | None) -> str:
                return "" if x is None else f"{x:.4f}"

            def cost(quantised: str, plain: str) -> str:
                known = values[quantised] is not None and values[plain] is not None
                return f"{values[quantised] - values[plain]:+.4f}" if known else ""

            cells += [cell(values["plain-float"]), cell(values["plain-mxfp4"]),
                      cost("plain-mxfp4", "plain-float"), cell(values["float"]), cell(values["shipped"]),
                      cost("shipped", "float")]
            rows.append(cells)
        return table(["", "plain finish, float", "quantised after training", "cost",
                      "MXFP4-aware finish, float", "as shipped", "cost"], rows)

    def profile(self, model: str) -> dict:
        out = self.a.work / self.identity[model] / "windows.moescope"
        if not out.exists():
            subprocess.run([self.a.bin, "profile", MODELS[model], "--workload", str(self.a.windows), "-n", "0",
                            "--out", str(out), "--progress", "off"], check=True, stdout=subprocess.DEVNULL)
        done = subprocess.run([self.a.bin, "routing", str(out), "--json"], check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def routing(self) -> str:
        rows = []
        for model in MODELS:
            r = self.profile(model)
            s = r["specialization"]
            layers = r["layers"]
            rows.append([
                model, f"{min(x['max_over_mean'] for x in layers):.2f} to {max(x['max_over_mean'] for x in layers):.2f}",
                str(sum(x["dead_experts"] for x in layers)),
                f"{100 * s['specialized_share']:.0f} % ({100 * s['chance_specialized_share']:.1f} %)",
                f"{s['mean_divergence_bits']:.3f} ({s['chance_mean_divergence_bits']:.4f})",
                f"{max(x['p'] for x in s['layers']):.3f}"])
        return table(["", "max/mean load, best to worst layer", "dead experts",
                      "pairs with lift > 1.5 (chance)", "divergence of domains, bits (chance)",
                      "largest p of a layer"], rows)

    def sizes(self) -> str:
        rows = []
        for model, name in MODELS.items():
            i = self.inspect(name)
            seen = (self.a.runs / f"run_{model}" / "log.csv").read_text().strip().splitlines()[-1].split(",")[1]
            rows.append([f"{model} (`{name}`)", f"{i['layers']} x {i['d_model']}", f"{i['heads']}/{i['kv_heads']}",
                         str(i["ffn"]), f"{i['parameters']['total'] / 1e6:.2f} M",
                         f"{(i['parameters']['active'] - i['parameters']['embedding'] / 2) / 1e6:.2f} M", f"{i['file_bytes'] / 1e6:.2f} MB",
                         f"{int(seen) / 1e6:.1f} M"])
        return table(["", "layers x width", "heads q/kv", "expert width", "parameters", "active without head", "file",
                      "tokens seen"], rows)

    def speed(self, model: str) -> dict:
        """Tokens a second by phase and length: the best of the rounds, as neighbours only slow down."""
        best = {}
        for i in range(BENCH_ROUNDS):
            b = json.loads(self.keep(model, f"bench-{i}").read_text(encoding="utf-8"))
            for r in b["results"]:
                key = r["phase"], r["tokens"]
                best[key] = max(best.get(key, 0), r["tokens_per_second"])
        return best

    def comparison(self) -> str:
        columns = {}
        for i in range(BENCH_ROUNDS):  # in turns, so that a slow minute of the machine hits all three
            for model, name in MODELS.items():
                run(self.a.bin, self.keep(model, f"bench-{i}"), "bench", name, "-p", "128,512", "-n", "128", "-r", "7")
        for model, name in MODELS.items():
            i = self.inspect(name)
            routing = self.profile(model)
            worst = max(routing["layers"], key=lambda x: x["max_over_mean"])
            mean_effective = sum(x["effective_experts"] for x in routing["layers"]) / len(routing["layers"])
            speed = self.speed(model)
            columns[model] = [
                f"{self.score(model, name, 'shipped')['nats_per_token']:.3f}",
                f"{speed['prefill', 128]:,.0f}", f"{speed['prefill', 512]:,.0f}", f"{speed['decode', 128]:,.0f}",
                f"{i['memory']['weights'] / 1e6:.2f}", f"{i['memory']['kv_cache'] / 1e6:.2f}",
                f"{worst['max_over_mean']:.2f} (layer {worst['layer']})", f"{mean_effective:.1f} of 24"]
        names = ["loss, nats/token", "prefill of 128, tok/s", "prefill of 512, tok/s", "decode, tok/s",
                 "weights, MB", "KV cache of 1,024 tokens, MB", "worst layer's max/mean",
                 "effective experts, mean of layers"]
        return table(["", *MODELS], [[n, *(columns[m][i] for m in MODELS)] for i, n in enumerate(names)])

    def bias(self) -> str:
        rows = []
        for model, name in MODELS.items():
            keep = self.keep(model, "bias")
            r = run(self.a.bin, keep, "eval", name, "--suite", "occupation_pronouns", "--out",
                    str(keep.with_suffix(".moescope")), "--overwrite", "--context", "1024")
            found = {(m["name"], m["group"]): m for m in r["suites"][0]["metrics"]}
            for group, title in (("", "all"), ("wording=unmarked", "words that name no gender"),
                                 ("survey=surveyed", "the eight of the survey")):
                m, slope = found["reference_pearson", group], found["reference_slope", group]
                interval = "" if m["low"] is None else f"{m['low']:.2f} to {m['high']:.2f}"
                rows.append([model, title, str(m["n"]), f"{m['value']:.2f}", interval,
                             f"{found['reference_pearson_p', group]['value']:.3f}", f"{slope['value']:.2f}"])
        return table(["", "occupations", "n", "Pearson correlation", "95 % interval", "p", "slope"], rows)

    def samples(self) -> str:
        return self.generations(0, ENGLISH)

    def other_samples(self) -> str:
        return self.generations(ENGLISH, len(PROMPTS))

    def generations(self, first: int, end: int) -> str:
        parts = []
        for i in range(first, end):
            prompt = PROMPTS[i]
            keep = self.keep("base", f"sample-{i}")
            r = run(self.a.bin, keep, "generate", "demo", "--prompt", prompt, "-n", "60", "--temperature", "0.7",
                    "--top-p", "0.9", "--seed", str(i + 1))
            text = (prompt + r["text"]).replace("\n", "\n   > ")
            parts.append(f"{i + 1}. > {text}")
        return "\n\n".join(parts)

    def write(self) -> None:
        text = (HERE / "card.in.md").read_text(encoding="utf-8")
        for name in ("sizes", "losses", "quantisation", "routing", "comparison", "bias", "samples", "other_samples"):
            text = text.replace("{{" + name + "}}", getattr(self, name)())
        (HERE.parent / "MODEL_CARD.md").write_text(text, encoding="utf-8")


def main() -> None:
    p = argparse.ArgumentParser()
    for option in ("--bin", "--windows", "--runs", "--work"):
        p.add_argument(option, type=Path, required=True)
    Card(p.parse_args()).write()


if __name__ == "__main__":
    main()
