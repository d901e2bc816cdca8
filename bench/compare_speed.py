#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prefill and decode speed of moescope beside llama.cpp on the same file, in alternating runs.

    pip install llama-cpp-python
    bench/compare_speed.py MODEL.gguf [--threads 2] [-p 128,512] [-n 64] [--rounds 5] [--numerics exact,fast]
                           [--llama-bench "PATH -rtr 1 -thp 1"] [--moescope build/bin/moescope] [--json F]

The peer is llama-cpp-python (mmap off, so that it may repack its weights; its context holds the
longest of the lengths), or any llama-bench binary with its options, ik_llama.cpp's included. A round runs the peer
and every numerics of moescope once, one behind the other, each in a process of its own; the read
bandwidth that moescope measured stands beside each pair. Shown: best and median of both, the median
of the ratios within a round, and their range. On a shared machine only ratios and bests mean much.
"""
import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time


def output(command, **more):
    """What the command writes; a command that fails ends the script, with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: exit status {done.returncode}\n{(done.stderr + done.stdout)[-1000:]}")
    return done.stdout


def moescope(args, numerics):
    command = [args.moescope, "bench", args.model, "-p", args.prompts, "-n", args.tokens, "-r", "2", "-t", str(args.threads),
               "--numerics", numerics, "--json", "--progress", "off"]
    document = json.loads(output(command))
    speeds = {(r["phase"], r["tokens"]): r["tokens_per_second"] for r in document["results"]}
    return speeds, max(r["read_bandwidth"] for r in document["results"])


def llama_bench(args):
    command = shlex.split(args.llama_bench) + ["-m", args.model, "-t", str(args.threads), "-p", args.prompts, "-n", args.tokens,
                                               "-r", "2", "-ngl", "0", "-o", "json"]
    best = {}
    for row in json.loads(output(command)):
        key = ("prefill", row["n_prompt"]) if row["n_prompt"] else ("decode", row["n_gen"])
        best[key] = max(row.get("samples_ts") or [row["avg_ts"]])
    return best


PYTHON_PEER = """
import json, sys, time
import llama_cpp
model, threads, prompts, tokens = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4])
llama = llama_cpp.Llama(model, n_ctx=max(prompts + [16 + n for n in tokens]) + 8, n_batch=512, n_ubatch=512, n_threads=threads,
                        n_threads_batch=threads, use_mmap=False, verbose=False)
vocab, state, ids = llama.n_vocab(), 12345, []
for _ in range(max(prompts + [16])):
    state = (state * 1664525 + 1013904223) % 2**32
    ids.append((state >> 8) % vocab)
speeds = {}
def best(key, count, before, work):
    for i in range(3):
        llama.reset(); before()
        start = time.perf_counter(); work(); seconds = time.perf_counter() - start
        if i: speeds[key] = max(speeds.get(key, 0), count / seconds)
for n in prompts: best("prefill %d" % n, n, lambda: None, lambda: llama.eval(ids[:n]))
for n in tokens: best("decode %d" % n, n, lambda: llama.eval(ids[:16]), lambda: [llama.eval([ids[i % 16]]) for i in range(n)])
print(json.dumps(speeds))
"""


def llama_cpp_python(args):
    lists = [json.dumps([int(x) for x in text.split(",")]) for text in (args.prompts, args.tokens)]
    command = [sys.executable, "-c", PYTHON_PEER, args.model, str(args.threads), *lists]
    speeds = json.loads(subprocess.run(command, check=True, capture_output=True).stdout.splitlines()[-1])
    return {(key.split()[0], int(key.split()[1])): value for key, value in speeds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("-p", dest="prompts", default="128,512")
    parser.add_argument("-n", dest="tokens", default="64")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--numerics", default="exact,fast")
    parser.add_argument("--llama-bench", help="a llama-bench binary with its options, instead of llama-cpp-python")
    parser.add_argument("--moescope", default="build/bin/moescope")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    peer = llama_bench if args.llama_bench else llama_cpp_python
    rounds = []
    for number in range(args.rounds):
        start = time.strftime("%H:%M:%S")
        theirs = peer(args)
        for numerics in args.numerics.split(","):
            ours, bandwidth = moescope(args, numerics)
            for key in ours:
                rounds.append({"round": number, "at": start, "phase": key[0], "tokens": key[1], "numerics": numerics,
                               "moescope": ours[key], "peer": theirs[key], "read_bandwidth": bandwidth})
    report = []
    print(f"{'':22}{'moescope best':>14}{'median':>9}{'peer best':>11}{'median':>9}{'ratio':>8}  range         GB/s")
    for key in dict.fromkeys((r["phase"], r["tokens"], r["numerics"]) for r in rounds):
        rows = [r for r in rounds if (r["phase"], r["tokens"], r["numerics"]) == key]
        ours, theirs = [r["moescope"] for r in rows], [r["peer"] for r in rows]
        ratios = [a / b for a, b in zip(ours, theirs)]
        bandwidth = [r["read_bandwidth"] / 1e9 for r in rows]
        report.append({"phase": key[0], "tokens": key[1], "numerics": key[2], "moescope": ours, "peer": theirs, "ratios": ratios})
        print(f"{key[0]:8}{key[1]:5} {key[2]:8}{max(ours):14.1f}{statistics.median(ours):9.1f}{max(theirs):11.1f}"
              f"{statistics.median(theirs):9.1f}{statistics.median(ratios):8.2f}  {min(ratios):.2f} to {max(ratios):.2f}"
              f"  {min(bandwidth):.0f} to {max(bandwidth):.0f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"model": args.model, "threads": args.threads, "peer": args.llama_bench or "llama-cpp-python",
                                         "rounds": rounds, "report": report}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
