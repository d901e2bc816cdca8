#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HellaSwag items per second: moescope eval beside llama.cpp's own evaluator (llama-perplexity --hellaswag).

    bench/compare_hellaswag.py MODEL.gguf --data DIR --llama-perplexity PATH [--items 60] [--rounds 3]
        [--moescope build/bin/moescope] [--json F]

The same contexts and endings for both, from the file that llama.cpp publishes. Rounds alternate; loading
is not counted for either: the time is that of all items less that of the same command with one.
llama-perplexity is not on PyPI; the sources of it are in the archive of llama-cpp-python:

    pip download llama-cpp-python --no-binary :all: --no-deps && tar xzf llama_cpp_python-*.tar.gz
    cmake -S llama_cpp_python-*/vendor/llama.cpp -B build-llama -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON
    cmake --build build-llama --target llama-perplexity llama-bench
"""
import argparse
import bz2
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from compare_lm_eval import Ours, hellaswag


class Theirs:
    def __init__(self, args, folder):
        lines = bz2.open(args.data / "hellaswag" / "hellaswag_val_full.txt.bz2", "rt", encoding="utf-8").read()
        self.items = args.items
        file = folder / "hellaswag.txt"
        file.write_text("\n".join(lines.split("\n")[:6 * args.items]))
        self.command = [args.llama_perplexity, "-m", args.model, "-f", str(file), "--hellaswag", "-t",
                        str(args.threads), "-c", "2048", "-b", "2048", "--hellaswag-tasks"]

    def run(self, items):
        start = time.perf_counter()
        done = subprocess.run(self.command + [str(items)], check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        scores = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") >= 2]
        scores = [row for row in scores if row[0].strip().isdigit()]
        if not scores or int(scores[-1][0]) != items:
            sys.exit(f"{self.command[0]} scored {scores[-1][0] if scores else 'no'} of {items} items:\n{done.stderr[-2000:]}")
        return seconds, scores[-1][1].strip()

    def seconds(self):
        whole, self.accuracy = self.run(self.items)
        return whole - self.run(1)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with hellaswag")
    parser.add_argument("--llama-perplexity", required=True)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--moescope", default="build/bin/moescope")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        ours = Ours(args, folder, list(hellaswag(args.data, args.items)))
        theirs = Theirs(args, folder)
        pairs = [(ours.seconds(), theirs.seconds()) for _ in range(args.rounds)]
    # What is left after subtraction is of all items but one.
    rates = [[(args.items - 1) / seconds for seconds in side] for side in zip(*pairs)]
    ratios = [t / o for o, t in pairs]
    print(f"{args.items} items  moescope {statistics.median(rates[0]):.2f}/s  llama-perplexity "
          f"{statistics.median(rates[1]):.2f}/s (acc_norm {theirs.accuracy})  ratio {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f} to {max(ratios):.2f})")
    if args.json:
        args.json.write_text(json.dumps({"items": args.items, "moescope": rates[0], "llama_perplexity": rates[1],
                                         "ratios": ratios}, indent=1))


if __name__ == "__main__":
    main()
