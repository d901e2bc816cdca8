#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of moescope beside llama.cpp's on the same file and the same tokens.

    apt-get install libopenblas-dev
    CMAKE_ARGS="-DGGML_BLAS=ON -DGGML_BLAS_VENDOR=OpenBLAS" pip install --no-binary llama-cpp-python llama-cpp-python numpy
    bench/compare_llama.py MODEL.gguf [--tokens 2000] [--moescope build/bin/moescope] [--numerics exact]

Prints the mean and greatest absolute difference of the log-probability of each token, and the share
of positions with the same most likely token. Built as above, llama.cpp multiplies prompts of 32 or
more tokens with float32 activations; without BLAS it rounds activations to 8 bits first, which alone
moves SmolLM2's log-probabilities by six hundredths of a nat. The first line says which one ran.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

TEXTS = pathlib.Path(__file__).resolve().parent.parent / "README.md", pathlib.Path(__file__).resolve().parent.parent / "docs"


def corpus() -> str:
    """Prose of this repository: it is at hand everywhere and no model has been trained on it."""
    readme, docs = TEXTS
    return "\n".join(path.read_text(encoding="utf-8") for path in [readme, *sorted(docs.glob("*.md"))])


def llama_scores(model: str, chunks: list[list[int]], threads: int):
    import llama_cpp

    llama = llama_cpp.Llama(model_path=model, n_ctx=len(chunks[0]) + 8, n_batch=512, n_threads=threads,
                            n_threads_batch=threads, logits_all=True, verbose=False)
    for chunk in chunks:
        llama.reset()
        llama.eval(chunk)
        logits = np.array(llama.scores[: len(chunk)], dtype=np.float64)
        peak = logits.max(axis=1, keepdims=True)
        logp = logits - peak - np.log(np.exp(logits - peak).sum(axis=1, keepdims=True))
        yield logp[np.arange(len(chunk) - 1), chunk[1:]], logits[:-1].argmax(axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--chunk", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--numerics", default="exact")
    parser.add_argument("--moescope", default="build/bin/moescope")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "text.jsonl")
        text.write_text(json.dumps({"text": corpus()}), encoding="utf-8")
        encoded = subprocess.run([args.moescope, "tokenize", args.model, "--input", str(text)], check=True, capture_output=True)
        tokens = json.loads(encoded.stdout)["tokens"][: args.tokens]
        if len(tokens) < args.tokens:
            print(f"only {len(tokens)} tokens of text are at hand", file=sys.stderr)
        chunks = [tokens[i : i + args.chunk] for i in range(0, len(tokens), args.chunk)]
        chunks = [c for c in chunks if len(c) > 1]

        source, result = pathlib.Path(folder, "in.jsonl"), pathlib.Path(folder, "out.jsonl")
        source.write_text("".join(json.dumps({"id": i, "tokens": c}) + "\n" for i, c in enumerate(chunks)))
        subprocess.run([args.moescope, "score", args.model, "--input", str(source), "--output", str(result), "--backend", args.backend,
                        "--numerics", args.numerics, "--progress", "off"], check=True)
        ours = [json.loads(line) for line in result.read_text().splitlines()]

    import llama_cpp

    libraries = pathlib.Path(llama_cpp.__file__).parent.rglob("libggml-blas*")
    print(f"llama-cpp-python {llama_cpp.__version__}, " + ("with BLAS: float32 activations" if any(libraries) else "without BLAS: 8-bit activations"))
    differences, same, count = [], 0, 0
    for mine, (theirs, best) in zip(ours, llama_scores(args.model, chunks, args.threads)):
        logp = np.array([np.nan if v is None else v for v in mine["logprobs"]][1:])
        differences.append(np.abs(logp - theirs))
        same += int((np.array(mine["likeliest"][1:]) == best).sum())
        count += len(best)
    all_differences = np.concatenate(differences)
    print(f"{count} tokens: mean |difference| {all_differences.mean():.5f} nats, greatest {all_differences.max():.4f}, "
          f"same top token {same / count:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
