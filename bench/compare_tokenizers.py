#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Megabytes of text a second that o200k encodes on one core: moescope beside tiktoken (PyPI).

    cmake -S . -B build -DMOESCOPE_BENCH=ON && cmake --build build --target bench_tokenizer
    pip install tiktoken
    bench/compare_tokenizers.py RANKS.tiktoken TEXT [--bench build/bin/bench_tokenizer] [--rounds 5]

The two take turns, one repetition each, so that a slow minute of the machine hits both. Both must give
the same number of tokens. tiktoken's result is a Python list, which costs it a little.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys
import time

import tiktoken
from tiktoken.load import load_tiktoken_bpe

PATTERN = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ranks")
    parser.add_argument("text")
    parser.add_argument("--bench", default="build/bin/bench_tokenizer")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    peer = tiktoken.Encoding("o200k", pat_str=PATTERN, mergeable_ranks=load_tiktoken_bpe(args.ranks), special_tokens={})
    text = pathlib.Path(args.text).read_text(encoding="utf-8")
    size = len(text.encode("utf-8"))
    ours, theirs, counts = [], [], set()
    for _ in range(args.rounds):
        # Two repetitions a process, of which the second counts: the first fills the caches, as tiktoken's has.
        done = subprocess.run([args.bench, args.ranks, args.text, "2"], check=True, capture_output=True, text=True)
        lines = done.stdout.split()
        counts.add(int(lines[0]))
        ours.append(float(lines[2]))
        start = time.perf_counter()
        counts.add(len(peer.encode_ordinary(text)))
        theirs.append(size / (time.perf_counter() - start) / 1e6)
    print(f"{size / 1e6:.1f} MB, {' or '.join(f'{c:,}' for c in sorted(counts))} tokens")
    for name, speeds in (("moescope", ours), (f"tiktoken {tiktoken.__version__}", theirs)):
        print(f"{name}: median {statistics.median(speeds):.1f} MB/s, {min(speeds):.1f} to {max(speeds):.1f}")
    print(f"ratio of the medians {statistics.median(ours) / statistics.median(theirs):.2f}")
    if len(counts) != 1:
        print("compare_tokenizers: the numbers of tokens differ", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
