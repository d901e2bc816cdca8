#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of moescope beside llama.cpp's on the same file and the same tokens.

    apt-get install libopenblas-dev
    CMAKE_ARGS="-DGGML_BLAS=ON -DGGML_BLAS_VENDOR=OpenBLAS" pip install --no-binary llama-cpp-python llama-cpp-python numpy
    bench/compare_llama.py MODEL.gguf [--tokens 2000] [--text F.jsonl] [--transformers] [--moescope build/bin/moescope] [--numerics exact]

Prints the mean and greatest absolute difference of the log-probability of each token, and the share
of positions with the same most likely token. Built as above, llama.cpp multiplies prompts of 32 or
more tokens with float32 activations; without BLAS it rounds activations to 8 bits first, which alone
moves SmolLM2's log-probabilities by six hundredths of a nat. The first line says which one ran.
--transformers adds a third witness, Hugging Face's float32 forward pass on the dequantised weights of
the same file (PyPI torch, transformers, accelerate, gguf): it tells whose rounding a difference is.
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


def texts_of(path: str) -> str:
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return "\n\n".join(json.loads(line)["text"] for line in lines)


def leading_token(model: str) -> list[int]:
    import llama_cpp

    llama = llama_cpp.Llama(model_path=model, vocab_only=True, verbose=False)
    return [llama.token_bos()] if llama.metadata.get("tokenizer.ggml.add_bos_token") == "true" else []


def score(logits, chunk: list[int]):
    """Log-probability of each token but the first, and the likeliest token in its place."""
    logits = np.asarray(logits, dtype=np.float64)
    peak = logits.max(axis=1, keepdims=True)
    logp = logits - peak - np.log(np.exp(logits - peak).sum(axis=1, keepdims=True))
    return logp[np.arange(len(chunk) - 1), chunk[1:]], logits[:-1].argmax(axis=1)


def transformers_scores(model: str, chunks: list[list[int]]):
    import torch
    from transformers import AutoModelForCausalLM

    path = pathlib.Path(model)
    network = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    with torch.no_grad():
        for chunk in chunks:
            yield score(network(torch.tensor([chunk])).logits[0].numpy(), chunk)


def compare(name: str, first: list, second: list) -> None:
    differences = np.abs(np.concatenate([a[0] - b[0] for a, b in zip(first, second)]))
    same = np.concatenate([a[1] == b[1] for a, b in zip(first, second)]).mean()
    print(f"{name}: {len(differences)} tokens, mean |difference| {differences.mean():.5f} nats, greatest {differences.max():.4f}, "
          f"same top token {same:.4f}")


def llama_scores(model: str, chunks: list[list[int]], threads: int):
    import llama_cpp

    llama = llama_cpp.Llama(model_path=model, n_ctx=len(chunks[0]) + 8, n_batch=512, n_threads=threads,
                            n_threads_batch=threads, logits_all=True, verbose=False)
    for chunk in chunks:
        llama.reset()
        llama.eval(chunk)
        yield score(llama.scores[: len(chunk)], chunk)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--text", help='JSONL file with a "text" a line; default: README and docs of this repository')
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--chunk", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--numerics", default="exact")
    parser.add_argument("--moescope", default="build/bin/moescope")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "text.jsonl")
        text.write_text(json.dumps({"text": texts_of(args.text) if args.text else corpus()}), encoding="utf-8")
        encoded = subprocess.run([args.moescope, "tokenize", args.model, "--input", str(text)], check=True, capture_output=True)
        tokens = json.loads(encoded.stdout)["tokens"][: args.tokens]
        if len(tokens) < args.tokens:
            print(f"only {len(tokens)} tokens of text are at hand", file=sys.stderr)
        chunks = [tokens[i : i + args.chunk] for i in range(0, len(tokens), args.chunk)]
        start = leading_token(args.model)  # where the model was trained with one, every chunk needs it
        chunks = [start + c for c in chunks if len(start + c) > 1]

        source, result = pathlib.Path(folder, "in.jsonl"), pathlib.Path(folder, "out.jsonl")
        source.write_text("".join(json.dumps({"id": i, "tokens": c}) + "\n" for i, c in enumerate(chunks)))
        subprocess.run([args.moescope, "score", args.model, "--input", str(source), "--output", str(result), "--backend", args.backend,
                        "--numerics", args.numerics, "--progress", "off"], check=True)
        ours = [json.loads(line) for line in result.read_text().splitlines()]

    import llama_cpp

    libraries = pathlib.Path(llama_cpp.__file__).parent.rglob("libggml-blas*")
    print(f"llama-cpp-python {llama_cpp.__version__}, " + ("with BLAS: float32 activations" if any(libraries) else "without BLAS: 8-bit activations"))
    mine = [(np.array(m["logprobs"][1:], dtype=np.float64), np.array(m["likeliest"][1:])) for m in ours]
    theirs = list(llama_scores(args.model, chunks, args.threads))
    compare("moescope, llama.cpp", mine, theirs)
    if args.transformers:
        witness = list(transformers_scores(args.model, chunks))
        compare("moescope, transformers", mine, witness)
        compare("llama.cpp, transformers", theirs, witness)
    return 0


if __name__ == "__main__":
    sys.exit(main())
