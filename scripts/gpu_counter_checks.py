# SPDX-License-Identifier: Apache-2.0
"""The counters' part of scripts/gpu-check: DRAM bytes and tensor operations beside the engine's own count (checks 9 and 10 of
docs/gpu-profiling.md), one pass for each set on the real chip (11), and counters sampled over time (13)."""
import json
import pathlib
import sqlite3
from typing import Callable

# Shares by which counters and the engine's count may differ.
MOST_BYTES_OFF, MOST_OPERATIONS_OFF = 0.10, 0.02
LEAST_COVERED = 0.99  # of the steps' time by samples
DRAM = ("dram__bytes_read.sum", "dram__bytes_write.sum", "dram__bytes.sum")
TENSOR = ("sm__ops_path_tensor_src_bf16_dst_fp32.sum",)


def counted(path: pathlib.Path, op: str, phase: str, metrics: tuple[str, ...], column: str) -> tuple[float, float]:
    """Sums over the operations `op` of the steps of most tokens of a phase: by counters, and by the engine's `column`."""
    chosen = ("FROM operation o JOIN step s ON s.id = o.step WHERE o.op = ? AND s.kind = ? AND s.tokens = "
              "(SELECT max(tokens) FROM step WHERE kind = ?)")
    with sqlite3.connect(path) as db:
        marks = ",".join("?" * len(metrics))
        by_counters = db.execute(f"SELECT total(c.value) FROM counter c WHERE c.metric IN ({marks}) AND c.operation IN (SELECT o.id {chosen})",
                                 (*metrics, op, phase, phase)).fetchone()[0]
        by_engine = db.execute(f"SELECT total(o.{column}) {chosen}", (op, phase, phase)).fetchone()[0]
    return by_counters, by_engine


def compare(check: str, found: tuple[float, float], most: float, checks: list[dict]) -> dict:
    by_counters, by_engine = found
    off = by_counters / by_engine - 1 if by_engine > 0 else float("inf")
    checks.append({"check": check, "ok": abs(off) <= most, "value": off, "note": f"counters {by_counters:.4g}, engine {by_engine:.4g}, at most {most}"})
    return {"counters": by_counters, "engine": by_engine}


def sampling_checks(profile: Callable[..., dict], model: str, checks: list[dict]) -> dict:
    """Check 13: samples in order, none lost, and there while the model ran. Shares are of the steps' time and of a peak in percent."""
    facts = profile("sampled", model, "Once upon a time", "--sample-counters")
    sampling = json.loads(facts["meta"].get("sampling", "{}"))
    checks.append({"check": "13 passes of --sample-counters", "ok": sampling.get("passes") == 1, "value": sampling.get("passes"), "note": "on this chip"})
    for name, wanted in (("lost_samples", "13 samples: none lost"), ("disordered_samples", "13 samples are monotonic"), ("empty_samples", "13 samples take time")):
        row = facts["quality"].get(name, {"ok": False, "value": None, "note": "the row is absent"})
        checks.append({"check": wanted, "ok": row["ok"], "value": row["value"], "note": row["note"]})
    with sqlite3.connect(facts["path"]) as db:
        stamps = db.execute("SELECT DISTINCT start_ns, end_ns FROM sample ORDER BY id").fetchall()
        steps = db.execute("SELECT start_ns, end_ns FROM step").fetchall()
        metrics = {m: {"mean": mean, "least": least, "most": most}
                   for m, mean, least, most in db.execute("SELECT metric, avg(value), min(value), max(value) FROM sample GROUP BY metric")}
        unusable = db.execute("SELECT count(*) FROM sample WHERE value IS NULL OR (metric LIKE '%.pct_of_peak%' AND NOT value BETWEEN 0 AND 101)").fetchone()[0]
    taken = sum(end - start for start, end in steps)
    covered = sum(max(0, min(end, e) - max(start, s)) for start, end in steps for s, e in stamps)
    checks.append({"check": "13 samples cover the steps", "ok": taken > 0 and covered / taken >= LEAST_COVERED, "value": covered / taken if taken else 0,
                   "note": f"{len(stamps)} samples, {len(steps)} steps of {taken / 1e6:.1f} ms; at least {LEAST_COVERED}"})
    checks.append({"check": "13 values of samples are numbers, shares at most 100 %", "ok": unusable == 0, "value": unusable, "note": "values that are not"})
    return {"sampling": sampling, "metrics": metrics, "first": stamps[:3], "last": stamps[-2:]}


def counter_checks(profile: Callable[..., dict], small: str, large: str, checks: list[dict]) -> dict:
    """profile(name, model, prompt, *options) -> facts of the run. `large`: a model whose experts do not fit into the L2 cache and
    whose attention is bf16, so that each product is one matrix instruction a tile."""
    # Above 1,024 tokens of any tokenizer here, so that tiles which are not full do not count.
    prompt = "Once upon a time there was a king who had three daughters. " * 256
    runs = {"basic": profile("counters-basic", large, "Once upon a time", "--counters", "basic"),
            "roofline": profile("counters-roofline", large, prompt, "--numerics", "fast", "--counters", "roofline"),
            "hierarchy": profile("counters-hierarchy", small, "Once upon a time", "--counters", "hierarchy")}
    for name, facts in runs.items():
        passes = json.loads(facts["meta"]["counters"])["passes"]
        checks.append({"check": f"11 passes of --counters {name}", "ok": passes == 1, "value": passes, "note": "on this chip"})
        row = facts["quality"].get("missing_counter_ranges", {"ok": False, "value": None, "note": "the row is absent"})
        checks.append({"check": f"--counters {name}: missing_counter_ranges", "ok": row["ok"], "value": row["value"], "note": row["note"]})
    return {"expert bytes": compare("9 DRAM bytes of the experts in decoding", counted(runs["basic"]["path"], "experts", "decode", DRAM, "bytes"),
                                    MOST_BYTES_OFF, checks),
            "bf16 operations": compare("10 bf16 operations of attention's output in the prompt",
                                       counted(runs["roofline"]["path"], "attention_output", "prefill", TENSOR, "flops"),
                                       MOST_OPERATIONS_OFF, checks)}
