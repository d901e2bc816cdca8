#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares far more texts than the committed vectors hold: every configuration of configs.json against Hugging
Face's `tokenizers`, and real vocabularies against tiktoken as well. Commits nothing; exits 1 on a difference.

    python tests/golden/soak_tokenizers.py build/bin/moescope [--count 5000] [--seed 1] [--llama FOLDER]

--llama: an unpacked wheel of the PyPI package llama-models, which carries the rank files of Llama 3 and 4.
"""
import argparse
import json
import pathlib
import random
import subprocess
import tempfile
import unicodedata

import make_tokenizer_configs_golden as golden
from tokenizers import Tokenizer

HELDOUT = pathlib.Path(__file__).resolve().parents[2] / "datasets/demo/heldout.jsonl"


def characters(count, seed):
    """Assigned characters of the first two planes."""
    everything = [chr(c) for c in range(0x20000) if unicodedata.category(chr(c)) not in ("Cs", "Cn", "Co")]
    return random.Random(seed).sample(everything, count)


def ours(program, document, texts, special):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "tokenizer.json"
        file.write_text(json.dumps(document))
        lines = pathlib.Path(folder) / "texts.jsonl"
        lines.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        command = [program, "tokenize", "--tokenizer", file, "--input", lines] + ["--special"] * special
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line)["tokens"] for line in out.splitlines()]


class Report:
    def __init__(self):
        self.failed = False

    def add(self, name, texts, first, second):
        assert len(texts) == len(first) == len(second)
        differing = [t for t, a, b in zip(texts, first, second) if a != b]
        print(f"{name}: {len(differing)} of {len(texts)} differ", *map(repr, differing[:3]))
        self.failed |= bool(differing)


def configurations(program, count, seed, report):
    document = json.loads((golden.OUT / "configs.json").read_text())
    texts = {"plain": golden.texts(golden.PARTS + characters(400, seed), count, seed),
             "mixed": golden.texts(golden.MIXED_PARTS + characters(60, seed), count, seed)}
    for config in document["configs"]:
        merged = golden.merge(document["bases"][config["base"]], config["patch"])
        peer = golden.load(document["bases"][config["base"]], config["patch"])
        samples = texts[config["texts"]]
        for special in (True, False):
            peer.encode_special_tokens = not special
            theirs = [peer.encode(t, add_special_tokens=False).ids for t in samples]
            report.add(config["name"] + (", special tokens parsed" if special else ", as text"), samples,
                       ours(program, merged, samples, special), theirs)


def llama(program, folder, count, seed, report):
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe
    from transformers.convert_slow_tokenizer import TikTokenConverter

    samples = golden.texts(golden.PARTS + characters(500, seed), count, seed)
    samples += [json.loads(line)["text"] for line in HELDOUT.read_text().splitlines()]
    for name, pattern in (("llama3", golden.CL100K), ("llama4", golden.O200K)):
        ranks = str(folder / "llama_models" / name / "tokenizer.model")
        peer = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=load_tiktoken_bpe(ranks), special_tokens={})
        converted = json.loads(TikTokenConverter(vocab_file=ranks, pattern=pattern).converted().to_str())
        for ignore_merges in (True, False):
            converted["model"]["ignore_merges"] = ignore_merges
            result = ours(program, converted, samples, False)
            label = f"{name}, ignore_merges {ignore_merges}"
            report.add(label + ", tiktoken", samples, result, [peer.encode(t, disallowed_special=()) for t in samples])
            fast = Tokenizer.from_str(json.dumps(converted))
            report.add(label + ", tokenizers", samples, result, [fast.encode(t, add_special_tokens=False).ids for t in samples])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--llama", type=pathlib.Path)
    arguments = parser.parse_args()
    report = Report()
    configurations(arguments.program, arguments.count, arguments.seed, report)
    if arguments.llama:
        llama(arguments.program, arguments.llama, arguments.count, arguments.seed, report)
    return int(report.failed)


if __name__ == "__main__":
    raise SystemExit(main())
