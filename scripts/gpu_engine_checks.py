# SPDX-License-Identifier: Apache-2.0
"""The engine's part of scripts/gpu-check: tests, tokens beside the cpu back end, sanitizers, speed and
memory beside ceilings measured in the same run."""
import argparse
import json
import re
import subprocess
import sys
import time

# Peak device memory of gpt-oss-20b with 8k context, and shares of measured ceilings: the project's goals.
MEMORY_LIMIT_20B = 16e9
DECODE_MILESTONE, DECODE_GOAL = 0.60, 0.80
PREFILL_MILESTONE, PREFILL_GOAL = 0.25, 0.50
PROMPT = "Once upon a time there was a king who"


def run(command: list[str], limit: float) -> subprocess.CompletedProcess:
    print("gpu-check:", " ".join(command), file=sys.stderr, flush=True)
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no end within {limit} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is absent")


def add(checks: list[dict], check: str, ok: bool, value: object, note: str) -> None:
    checks.append({"check": check, "ok": bool(ok), "value": value, "note": note})


def matrix_rate() -> float | None:
    """bf16 FLOP/s of an 8192 cube through PyTorch where it is installed: the ceiling of prefill."""
    code = ("import torch,time\n"
            "a=torch.randn(8192,8192,device='cuda',dtype=torch.bfloat16);b=torch.randn_like(a)\n"
            "for _ in range(3): a@b\n"
            "torch.cuda.synchronize();t=time.perf_counter()\n"
            "for _ in range(10): a@b\n"
            "torch.cuda.synchronize();print(10*2*8192**3/(time.perf_counter()-t))")
    done = run([sys.executable, "-c", code], 90)
    return float(done.stdout) if done.returncode == 0 else None


def same_tokens(args: argparse.Namespace, checks: list[dict]) -> None:
    texts = {}
    for backend in ("cpu", "cuda"):
        done = run([str(args.bin / "moescope"), "generate", args.model, "--backend", backend, "--prompt", PROMPT, "-n", "256"], 60)
        texts[backend] = done.stdout if done.returncode == 0 else done.stderr
    add(checks, "256 greedy tokens equal the cpu back end's", texts["cpu"] == texts["cuda"] and texts["cpu"], None, args.model)


def work(row: dict) -> str:
    """What a row of bench measured: "decode 256", or of several sequences at a time "decode 64 x 8"."""
    return f"{row['phase']} {row['tokens']}" + (f" x {row['sequences']}" if row["sequences"] > 1 else "")


def bench(args: argparse.Namespace, model: str, *more: str) -> dict:
    start = time.monotonic()
    done = run([str(args.bin / "moescope"), "bench", model, "--backend", "cuda", "--json", "--progress", "off", *more], 150)
    if done.returncode != 0:
        return {"error": done.stderr.strip()[-400:]}
    facts = json.loads(done.stdout)
    rows = {work(r): {"tokens_per_second": r["tokens_per_second"], "bytes_per_second": r["bytes_per_second"],
                      "read_bandwidth": r["read_bandwidth"],
                      "flops_per_second": r["flops"] / min(r["seconds"])} for r in facts["results"]}
    return {"rows": rows, "device_memory_used": facts["device_memory_used"], "seconds": round(time.monotonic() - start, 1)}


def speed(args: argparse.Namespace, checks: list[dict]) -> dict:
    rate = matrix_rate()
    results: dict = {"bf16_matrix_rate": rate}
    base = bench(args, "synth:gpt-oss-20b:bf16", "-p", "2048,8192", "-n", "256", "-r", "2")
    results["gpt-oss-20b bf16, exact"] = base
    results["gpt-oss-20b bf16, fast"] = bench(args, "synth:gpt-oss-20b:bf16", "--numerics", "fast", "-p", "2048", "-n", "16", "-r", "2")
    results["gpt-oss-20b bf16, many sequences"] = bench(args, "synth:gpt-oss-20b:bf16", "-p", "8", "-n", "64", "-b", "1,8,64", "-r", "2")
    results["gpt-oss-20b q8_0"] = bench(args, "synth:gpt-oss-20b", "-p", "8", "-n", "256", "-r", "2")
    results["gpt-oss-120b bf16"] = bench(args, "synth:gpt-oss-120b:bf16", "-p", "8", "-n", "64", "-r", "2")
    results["qwen3-30b-a3b bf16"] = bench(args, "synth:qwen3-30b-a3b:bf16", "-p", "8", "-n", "64", "-r", "2")
    for name, result in results.items():
        if isinstance(result, dict): add(checks, f"bench {name}", "error" not in result, None, result.get("error", f"{result.get('seconds')} s"))
    if "rows" in base:
        add(checks, "20b: device memory with 8k context under 16 GB", base["device_memory_used"] < MEMORY_LIMIT_20B,
            base["device_memory_used"], "bytes in use on the whole device")
        decode = base["rows"]["decode 256"]
        share = decode["bytes_per_second"] / decode["read_bandwidth"]
        add(checks, "20b: decode, share of the read bandwidth", share >= DECODE_MILESTONE, share,
            f"milestone {DECODE_MILESTONE}, goal {DECODE_GOAL}")
    many = results["gpt-oss-20b bf16, many sequences"]
    if "rows" in many:
        one = many["rows"]["decode 64"]["tokens_per_second"]
        for sequences in (8, 64):
            row = many["rows"][f"decode 64 x {sequences}"]
            add(checks, f"20b: {sequences} sequences at a time decode faster than one", row["tokens_per_second"] > one,
                row["tokens_per_second"] / one, f"times one; {row['bytes_per_second'] / row['read_bandwidth']:.2f} of the read bandwidth")
    fast = results["gpt-oss-20b bf16, fast"]
    if rate and "rows" in fast:
        share = fast["rows"]["prefill 2048"]["flops_per_second"] / rate
        add(checks, "20b: prefill of 2,048 in fast numerics, share of the bf16 matrix rate", share >= PREFILL_MILESTONE, share,
            f"milestone {PREFILL_MILESTONE}, goal {PREFILL_GOAL}")
    return results


def sanitizers(args: argparse.Namespace, checks: list[dict]) -> None:
    for tool in ("memcheck", "racecheck", "initcheck"):
        done = run(["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", str(args.bin / "test_cuda"),
                    "cuda operations agree with the reference on a gpt-oss shaped model"], 60)
        summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY:.*", done.stdout) or [done.stderr[-200:]]
        add(checks, f"compute-sanitizer {tool}", done.returncode == 0, done.returncode, summary[-1])


def engine_checks(args: argparse.Namespace, checks: list[dict]) -> dict:
    tests = run([str(args.bin / "test_cuda"), "-d", "yes"], 120)
    add(checks, "test_cuda", tests.returncode == 0, tests.returncode, (tests.stdout.strip().splitlines() or [""])[-1])
    same_tokens(args, checks)
    results = speed(args, checks)
    if args.sanitize: sanitizers(args, checks)
    return results


def summary(document: dict) -> str:
    lines = [f"# {document['nvidia_smi_before'].split(',')[0]}", "",
             f"Measured {document['utc']} on commit {document['commit']}; nvidia-smi: {document['nvidia_smi_before']}.", "",
             "| check | result | value | |", "|---|---|---|---|"]
    for c in document["checks"]:
        value = "" if c["value"] is None else f"{c['value']:.4g}" if isinstance(c["value"], float) else str(c["value"])
        lines.append(f"| {c['check']} | {'ok' if c['ok'] else 'FAILED'} | {value} | {c['note']} |")
    lines += ["", "| model | work | tok/s | GB/s | of the read bandwidth | TFLOP/s |", "|---|---|---|---|---|---|"]
    for name, result in document.get("engine", {}).items():
        if not isinstance(result, dict) or "rows" not in result: continue
        for work, r in result["rows"].items():
            lines.append(f"| {name} | {work} | {r['tokens_per_second']:.1f} | {r['bytes_per_second'] / 1e9:.0f} | "
                         f"{100 * r['bytes_per_second'] / r['read_bandwidth']:.1f} % | {r['flops_per_second'] / 1e12:.1f} |")
    rate = document.get("engine", {}).get("bf16_matrix_rate")
    if rate: lines += ["", f"bf16 matrix rate of the same run (PyTorch, 8192 cube): {rate / 1e12:.0f} TFLOP/s."]
    return "\n".join(lines) + "\n"
