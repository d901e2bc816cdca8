#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Multiple-choice items per second: moescope eval beside lm-evaluation-harness on Hugging Face transformers.

    pip install lm_eval transformers torch accelerate gguf
    bench/compare_lm_eval.py MODEL.gguf --data DIR [--items 60] [--rounds 3] [--moescope build/bin/moescope] [--json F]

The same requests for both: prompts and choices are written as a suite file for moescope and given to
HFLM.loglikelihood (what `lm_eval --model hf` calls) for the other, on the float32 weights of the same
file. Formats: MMLU with five worked examples, HellaSwag with ten choices of text, CrowS-Pairs whole
sentences. Rounds alternate; loading is not counted for either (moescope: time of `eval` less that of
the same command with one item). --batch: HFLM's batch size; the default is what was fastest here.
Both must choose the same answers but for ties within rounding: the share is printed.
"""
import argparse
import bz2
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def mmlu(data: pathlib.Path, count: int):
    def question(row, answer):
        text = row[0].strip() + "\n" + "".join(f"{k}. {row[i + 1]}\n" for i, k in enumerate("ABCD")) + "Answer:"
        return text + (f" {row[5]}\n\n" if answer else "")

    subjects = sorted((data / "mmlu" / "test").glob("*.csv"))[:3]
    for path in subjects:
        subject = path.name.replace("_test.csv", "").replace("_", " ")
        with open(data / "mmlu" / "dev" / path.name.replace("_test", "_dev"), encoding="utf-8") as file:
            shots = "".join(question(row, True) for row in list(csv.reader(file))[:5])
        with open(path, encoding="utf-8") as file:
            for row in list(csv.reader(file))[:count // len(subjects)]:
                head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
                yield head + shots + question(row, False), [" A", " B", " C", " D"]


def hellaswag(data: pathlib.Path, count: int):
    lines = bz2.open(data / "hellaswag" / "hellaswag_val_full.txt.bz2", "rt", encoding="utf-8").read().split("\n")
    for i in range(count):  # llama.cpp's layout: context, number of the right one, four endings
        context, _, *endings = lines[i * 6:i * 6 + 6]
        yield context.strip(), [" " + e.strip() for e in endings]


def crows_pairs(data: pathlib.Path, count: int):
    with open(data / "crows_pairs" / "crows_pairs_anonymized.csv", encoding="utf-8") as file:
        for row in list(csv.DictReader(file))[:count]:
            yield "", [row["sent_more"], row["sent_less"]]


FORMATS = {"mmlu 5-shot": mmlu, "hellaswag": hellaswag, "crows_pairs": crows_pairs}


class Ours:
    def __init__(self, args, folder, items):
        self.command = [args.moescope, "eval", args.model, "--data", str(folder), "--progress", "off", "--threads",
                        str(args.threads)]
        self.folder = folder
        rows = [json.dumps({"prompt": p, "choices": c}) for p, c in items]
        (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
        suite = {"name": "speed", "title": "Speed", "version": "1", "kind": "capability", "licence": "none",
                 "source": {"files": ["rows.jsonl"], "format": "jsonl"}, "prompt": "{prompt}", "delimiter": "",
                 "choices": {"each": "choices", "text": "{item}", "label": "{item}"}, "target": "{choices.0}",
                 "scoring": "choice_loglik", "metrics": ["accuracy"]}
        (folder / "speed.json").write_text(json.dumps(suite))

    def run(self, limit):
        start = time.perf_counter()
        subprocess.run(self.command + ["--suite", str(self.folder / "speed.json"), "--limit", str(limit), "--out",
                                       str(self.folder / "run.moescope"), "--overwrite", "--json"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start

    def seconds(self):
        return self.run(0) - self.run(1)

    def answers(self):
        import sqlite3
        run = sqlite3.connect(self.folder / "run.moescope")
        return run


class Theirs:
    def __init__(self, args):
        import torch
        from lm_eval.models.huggingface import HFLM
        from transformers import AutoModelForCausalLM, AutoTokenizer
        torch.set_num_threads(args.threads)
        path = pathlib.Path(args.model).resolve()
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
        network = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
        self.model = HFLM(pretrained=network, tokenizer=tokenizer, batch_size=args.batch, device="cpu")

    def seconds(self, items):
        from lm_eval.api.instance import Instance
        requests = [Instance(request_type="loglikelihood", doc={}, arguments=(p, c), idx=0)
                    for p, choices in items for c in choices]
        start = time.perf_counter()
        self.result = self.model.loglikelihood(requests, disable_tqdm=True)
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with mmlu, hellaswag, crows_pairs")
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--moescope", default="build/bin/moescope")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    theirs = Theirs(args)
    report = []
    for name in args.formats.split(","):
        items = list(FORMATS[name](args.data, args.items))
        with tempfile.TemporaryDirectory() as folder:
            ours = Ours(args, pathlib.Path(folder), items)
            pairs = [(ours.seconds(), theirs.seconds(items)) for _ in range(args.rounds)]
        ratios = [t / o for o, t in pairs]
        row = {"format": name, "items": len(items), "moescope": [len(items) / o for o, _ in pairs],
               "lm_eval": [len(items) / t for _, t in pairs], "ratio": statistics.median(ratios),
               "ratios": ratios}
        report.append(row)
        print(f"{name:12} {len(items):4} items  moescope {statistics.median(row['moescope']):8.2f}/s  lm_eval "
              f"{statistics.median(row['lm_eval']):7.2f}/s  ratio {row['ratio']:.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    sys.exit(main())
