#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/compare_llama_cuda.py with two programs in place of the real ones, which say what those would: it needs no GPU."""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import compare_llama_cuda as compare

# The fields of llama-bench 0c1e570 (llama-cpp-python 0.3.36) that are read or shown.
LLAMA_BENCH = """
def row(prompt, generated, depth, speed):
    return {"build_commit": "0c1e570", "build_number": 1, "gpu_info": GPU, "backends": "CUDA", "model_n_params": PARAMETERS,
            "n_batch": 2048, "n_ubatch": 2048, "n_threads": 8, "type_k": "f16", "type_v": "f16", "n_gpu_layers": 99, "flash_attn": 1,
            "n_prompt": prompt, "n_gen": generated, "n_depth": depth, "test_time": "2026-11-27T21:11:42Z",
            "avg_ns": 1, "stddev_ns": 0, "avg_ts": speed, "stddev_ts": 0.0, "samples_ns": [1, 1, 1], "samples_ts": [speed, speed / 9, speed]}
print(json.dumps([row(512, 0, 0, 1000.0), row(0, 128, 0, 250.0), row(512, 0, 16, 900.0), row(0, 128, 16, 200.0)]))
"""
MOESCOPE = """
if "--version" in sys.argv: sys.exit(print("moescope 0.1.0"))
numerics = sys.argv[sys.argv.index("--numerics") + 1]
factor = 1.0 if numerics == "exact" else 0.5
print(json.dumps({"model": {"name": "shape", "file_bytes": 10**9, "parameters": {"total": 7}},
    "settings": {"backend_description": "cuda " + numerics}, "results": [
    {"phase": "prefill", "sequences": 1, "tokens": 512, "depth": 0, "seconds": [0.256 * factor] * 3, "bytes": 10**9,
     "read_bandwidth": 1e12, "bandwidth_share": 0.1},
    {"phase": "decode", "sequences": 1, "tokens": 128, "depth": 16, "seconds": [0.32, 0.9, 0.32], "bytes": 128 * 10**9,
     "read_bandwidth": 1e12, "bandwidth_share": 0.4}]}))
"""


class Comparison(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def program(self, name, text):
        """A script that first writes what it was called with into the log."""
        path = self.folder / name
        path.write_text(f"#!{sys.executable}\nimport json, sys\n"
                        f"open({str(self.folder / 'log')!r}, 'a').write(json.dumps(sys.argv) + chr(10))\n{text}")
        path.chmod(0o755)
        return str(path)

    def run_script(self, *more, gpu="NVIDIA H100", parameters=7):
        llama = self.program("llama-bench", f"GPU, PARAMETERS = {gpu!r}, {parameters}\n{LLAMA_BENCH}")
        words = ["compare", "a.gguf", "--llama-bench", llama, "--moescope", self.program("moescope", MOESCOPE), "-p", "512",
                 "-d", "16", "--rounds", "2", "--json", str(self.folder / "out.json"), *more]
        shown = io.StringIO()
        with mock.patch.object(sys, "argv", words), mock.patch.object(compare, "graphics_card", lambda: "card"), \
                contextlib.redirect_stdout(shown), contextlib.redirect_stderr(io.StringIO()):
            compare.main()
        self.calls = [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]
        return shown.getvalue(), json.loads((self.folder / "out.json").read_text())

    def test_pairs_equal_work_and_states_ratios_of_medians(self):
        shown, document = self.run_script()
        rows = {(r["phase"], r["depth"], r["numerics"]): r for r in document["files"][0]["report"]}
        self.assertEqual(set(rows), {(phase, depth, numerics) for phase, depth in (("prefill", 0), ("decode", 16))
                                     for numerics in ("exact", "fast")})
        self.assertEqual(rows["prefill", 0, "exact"]["ratios"], [2.0, 2.0])
        self.assertEqual(rows["prefill", 0, "fast"]["ratios"], [4.0, 4.0])
        self.assertEqual(rows["decode", 16, "exact"]["ratios"], [2.0, 2.0])
        share = rows["decode", 16, "exact"]["bandwidth_share"]
        self.assertAlmostEqual(share["moescope"], 0.4)
        self.assertAlmostEqual(share["llama.cpp"], 0.2)
        for part in ("0c1e570", "NVIDIA H100", "n_ubatch 2048", "flash_attn 1", "cuda exact", "moescope 0.1.0", "2.00 to 2.00"):
            self.assertIn(part, shown)

    def test_runs_the_programs_in_turn_and_in_the_opposite_order(self):
        self.run_script()
        ran = [call[call.index("--numerics") + 1] if "--numerics" in call else "llama" for call in self.calls if "--version" not in call]
        self.assertEqual(ran, ["llama", "exact", "fast", "fast", "exact", "llama"])

    def test_gives_both_the_same_work_on_the_gpu(self):
        self.run_script()
        llama = next(call for call in self.calls if "-ngl" in call)
        ours = next(call for call in self.calls if "--numerics" in call)
        value = lambda call, option: call[call.index(option) + 1]
        self.assertEqual(value(llama, "-ngl"), "99")
        self.assertEqual(value(llama, "-fa"), "on")
        self.assertEqual(value(ours, "--backend"), "cuda")
        self.assertEqual(value(llama, "-d"), "0,16")  # 0: of prefill
        for option in ("-p", "-n", "-r"): self.assertEqual(value(llama, option), value(ours, option))
        self.assertIn("a.gguf", llama)
        self.assertIn("a.gguf", ours)

    def test_refuses_a_peer_that_ran_without_a_gpu(self):
        with self.assertRaisesRegex(SystemExit, "found no GPU"): self.run_script(gpu="")

    def test_refuses_a_peer_that_counts_other_weights(self):
        with self.assertRaisesRegex(SystemExit, "a.gguf: moescope counts 7 weights, llama-bench 8"): self.run_script(parameters=8)

    def test_says_what_a_program_that_failed_said(self):
        failing = self.program("fails", "sys.exit('CUDA error: out of memory')")
        with self.assertRaisesRegex(SystemExit, "exit status 1\nCUDA error: out of memory"): self.run_script("--llama-bench", failing)

    def test_shows_no_share_of_a_bandwidth_that_is_no_ceiling(self):
        with mock.patch.dict(globals(), MOESCOPE=MOESCOPE.replace('"bandwidth_share": 0.4', '"bandwidth_share": None')):
            _, document = self.run_script()
        self.assertNotIn("bandwidth_share", document["files"][0]["report"][1])


if __name__ == "__main__":
    unittest.main()
