#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prefill and decode speed of moescope beside llama.cpp's CUDA build, on the same GPU and the same files.

    scripts/build-llama-cuda build-llama
    build-cuda/bin/moescope synth gpt-oss-20b --out q8_0.gguf          # --dense bf16: the other one
    bench/compare_llama_cuda.py q8_0.gguf bf16.gguf --llama-bench build-llama/llama-bench [--moescope build-cuda/bin/moescope]
                                [-p 512,2048] [-n 128] [-d 16,4096] [-r 3] [--rounds 4] [--numerics exact,fast] [--json F]

A round runs llama-bench and every numerics of moescope once, each in a process of its own; every second round runs them in the
opposite order (ABBA). llama-bench has everything on the GPU (-ngl 99), flash attention on, and steps of 2,048 tokens (-b, -ub), which
are moescope's; its keys and values are half precision, as moescope's are. Both decode behind the same number of tokens (-d). Not the
same: llama-bench takes its next token at random without looking at the logits, moescope chooses the likeliest one.
A speed is the median of a process's repetitions; a ratio is that of two processes of one round; shown are the medians over the rounds
and the range of the ratios. Both read the same bytes, those of the file, so one count gives both shares of the read bandwidth.
--backend cpu runs both on the host: for a trial of this script, not for figures (bench/compare_speed.py).
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import sys
import time

from compare_speed import output

STEP = 2048  # tokens: what moescope's cuda back end prefers, and llama-bench's -b and -ub


def moescope_rows(document):
    """Of `moescope bench --json`: (phase, tokens, depth) -> median tokens a second, bytes a token, read bandwidth (None: no ceiling)."""
    rows = {}
    for row in document["results"]:
        rows[row["phase"], row["tokens"], row["depth"]] = {
            "speed": row["tokens"] / statistics.median(row["seconds"]), "bytes": row["bytes"] / row["tokens"],
            "bandwidth": None if row["bandwidth_share"] is None else row["read_bandwidth"]}
    return rows


def llama_rows(rows, backend):
    """Of `llama-bench -o json`: (phase, tokens, depth) -> median tokens a second. Exits when it did not run where it was to."""
    if backend == "cuda":
        for row in rows:
            if "CUDA" not in row["backends"] or not row["gpu_info"]:
                sys.exit(f"llama-bench ran on {row['backends']}, GPU '{row['gpu_info']}': it found no GPU, or is no CUDA build")
    return {("prefill" if row["n_prompt"] else "decode", row["n_prompt"] or row["n_gen"], row["n_depth"]):
            statistics.median(row["samples_ts"]) for row in rows}


def llama_settings(rows):
    """What every measurement of llama-bench had in common: version, device, options."""
    own = ("n_prompt", "n_gen", "n_depth", "test_time")
    measured = ("avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts")
    return {key: value for key, value in rows[0].items() if key not in own + measured}


def environment():
    """That of llama-bench: its cuBLAS may be the CUDA Toolkit's or the one that came with PyTorch, which no loader looks for."""
    folders = ["/usr/local/cuda/lib64"]
    nvidia = importlib.util.find_spec("nvidia")
    for home in nvidia.submodule_search_locations if nvidia else []:
        folders += [f"{home}/cu13/lib", f"{home}/cublas/lib"]
    folders = [f for f in folders if any(pathlib.Path(f).glob("libcublas.so.*"))]
    before = os.environ.get("LD_LIBRARY_PATH")
    return os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(([before] if before else []) + folders)}


def run_moescope(args, model, numerics):
    more = ["-t", str(args.threads)] if args.threads else []
    return json.loads(output([args.moescope, "bench", model, "--backend", args.backend, "--numerics", numerics, "-p", args.prompts,
                              "-n", args.tokens, "-d", args.depths, "-r", str(args.repeat), "--json", "--progress", "off"] + more))


def run_llama(args, model):
    where = ["-ngl", "99"] if args.backend == "cuda" else ["-ngl", "0", "-dev", "none"]
    more = ["-t", str(args.threads)] if args.threads else []
    # Depth 0 is that of prefill; llama-bench measures every length at every depth, and what has no counterpart is not shown.
    return json.loads(output([args.llama_bench, "-m", model, *where, "-fa", "on", "-b", str(STEP), "-ub", str(STEP), "-p", args.prompts,
                              "-n", args.tokens, "-d", "0," + args.depths, "-r", str(args.repeat), "-o", "json"] + more,
                             env=environment()))


def graphics_card():
    if not shutil.which("nvidia-smi"): return "nvidia-smi is absent"
    return output(["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks_throttle_reasons.active,power.draw,"
                   "temperature.gpu", "--format=csv,noheader"]).strip()


def require_same_weights(model, result):
    """Exits when the programs count another number of weights: they have then not read the same model."""
    theirs = result["llama.cpp"][0]["model_n_params"]
    for document in result["moescope"].values():
        ours = document["model"]["parameters"]["total"]
        if ours != theirs: sys.exit(f"{model}: moescope counts {ours} weights, llama-bench {theirs}")


def one_round(args, model, number):
    """All programs once; in the opposite order when the number is odd."""
    order = ["llama.cpp"] + args.numerics.split(",")
    result = {"round": number, "at": time.strftime("%H:%M:%S"), "moescope": {}}
    for name in order if number % 2 == 0 else order[::-1]:
        if name == "llama.cpp": result["llama.cpp"] = run_llama(args, model)
        else: result["moescope"][name] = run_moescope(args, model, name)
    return result


def report(rounds, backend):
    """A row for each measurement and numerics of the rounds of one file."""
    speeds = {}
    for r in rounds:
        theirs = llama_rows(r["llama.cpp"], backend)
        for numerics, document in r["moescope"].items():
            for key, ours in moescope_rows(document).items():
                speeds.setdefault((key, numerics), []).append((ours, theirs[key]))
    rows = []
    for ((phase, tokens, depth), numerics), pairs in speeds.items():
        ours, theirs = [a["speed"] for a, _ in pairs], [b for _, b in pairs]
        row = {"phase": phase, "tokens": tokens, "depth": depth, "numerics": numerics, "moescope": ours, "llama.cpp": theirs,
               "ratios": [a / b for a, b in zip(ours, theirs)]}
        if phase == "decode" and pairs[0][0]["bandwidth"]:
            bandwidth = statistics.median(a["bandwidth"] for a, _ in pairs)
            row["bandwidth_share"] = {name: statistics.median(values) * pairs[0][0]["bytes"] / bandwidth
                                      for name, values in (("moescope", ours), ("llama.cpp", theirs))}
        rows.append(row)
    return rows


def show(model, rounds, rows):
    ours, theirs = next(iter(rounds[0]["moescope"].values())), llama_settings(rounds[0]["llama.cpp"])
    print(f"\n{model}: {ours['model']['name']}, {ours['model']['file_bytes'] / 1e9:.2f} GB")
    print(f"  moescope: {', '.join(d['settings']['backend_description'] for d in rounds[0]['moescope'].values())}")
    print(f"  llama.cpp: {theirs['build_commit']}, {theirs['backends']} {theirs['gpu_info']}, " + ", ".join(
        f"{key} {theirs[key]}" for key in ("n_gpu_layers", "flash_attn", "n_batch", "n_ubatch", "type_k", "type_v", "n_threads")))
    print(f"{'':34}{'moescope':>10}{'llama.cpp':>11}{'ratio':>8}  {'range':15}of the read bandwidth")
    for row in rows:
        what = f"{row['phase']} {row['tokens']}" + (f" behind {row['depth']}" if row["depth"] else "")
        share = row.get("bandwidth_share")
        print(f"  {what:26}{row['numerics']:6}{statistics.median(row['moescope']):10.1f}{statistics.median(row['llama.cpp']):11.1f}"
              f"{statistics.median(row['ratios']):8.2f}  {min(row['ratios']):.2f} to {max(row['ratios']):.2f}   "
              + (f"{100 * share['moescope']:.1f} % and {100 * share['llama.cpp']:.1f} %" if share else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--llama-bench", required=True)
    parser.add_argument("--moescope", default="build-cuda/bin/moescope")
    parser.add_argument("--backend", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--threads", type=int, help="of both, on the host (default: each program's own)")
    parser.add_argument("-p", dest="prompts", default="512,2048")
    parser.add_argument("-n", dest="tokens", default="128")
    parser.add_argument("-d", dest="depths", default="16,4096")
    parser.add_argument("-r", dest="repeat", type=int, default=3, help="repetitions in a process")
    parser.add_argument("--rounds", type=int, default=4, help="an even number balances the order")
    parser.add_argument("--numerics", default="exact,fast")
    parser.add_argument("--json", type=pathlib.Path, help="written after every round: what is there stays when the time is up")
    args = parser.parse_args()

    built = pathlib.Path(args.llama_bench + ".txt")  # scripts/build-llama-cuda tells there how
    document = {"schema": "moescope.compare-llama-cuda", "version": 1, "backend": args.backend,
                "card": graphics_card(), "moescope": output([args.moescope, "--version"]).splitlines(),
                "llama.cpp": built.read_text().splitlines() if built.exists() else [],
                "environment": {k: v for k, v in os.environ.items() if k.startswith(("GGML_", "CUDA_"))}, "files": []}
    print("\n".join([document["card"], *document["moescope"], *document["llama.cpp"]]))
    for model in args.models:
        file = {"model": model, "rounds": [], "report": []}
        document["files"].append(file)
        for number in range(args.rounds):
            file["rounds"].append(one_round(args, model, number))
            require_same_weights(model, file["rounds"][-1])
            file["report"] = report(file["rounds"], args.backend)
            document["card_after"] = graphics_card()
            if args.json: args.json.write_text(json.dumps(document, indent=1) + "\n")
            print(f"{model}: round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
        show(model, file["rounds"], file["report"])


if __name__ == "__main__":
    sys.exit(main())
