#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tracing and routing recording cost in decode speed, measured in pairs.

    bench/tracing_overhead.py MODEL [--pairs 15] [-n 64] [--moescope build/bin/moescope]

Each pair runs `moescope bench` without and with --trace, in alternating order, so that a machine
that grows slower or faster hits both alike. Prints the median of the per-pair ratios and its range.
"""
import argparse
import json
import statistics
import subprocess
import sys


def decode_rate(args: argparse.Namespace, traced: bool) -> float:
    command = [args.moescope, "bench", args.model, "-p", "16", "-n", str(args.n), "--repeat", "3", "--json", "--progress", "off"]
    if traced:
        command.append("--trace")
    document = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return max(row["tokens_per_second"] for row in document["results"] if row["phase"] == "decode")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("--moescope", default="build/bin/moescope")
    args = parser.parse_args()

    ratios = []
    for pair in range(args.pairs):
        order = (False, True) if pair % 2 == 0 else (True, False)
        rates = {traced: decode_rate(args, traced) for traced in order}
        ratios.append(rates[True] / rates[False])
        print(f"pair {pair + 1}: {rates[False]:.2f} tok/s plain, {rates[True]:.2f} traced, ratio {ratios[-1]:.4f}", flush=True)
    quartiles = statistics.quantiles(ratios, n=4)
    print(f"median ratio {statistics.median(ratios):.4f} (quartiles {quartiles[0]:.4f} to {quartiles[2]:.4f}): "
          f"tracing costs {100 * (1 - statistics.median(ratios)):.2f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
