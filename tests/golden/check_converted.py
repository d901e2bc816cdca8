#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converts golden Hugging Face folders to GGUF and holds what llama.cpp computes from the result against
transformers' logits: log-probabilities of the token that follows the golden prompt less its last two.

    pip install xllamacpp numpy
    tests/golden/check_converted.py [--moescope build/bin/moescope] [NAME ...]

xllamacpp carries llama.cpp as a prebuilt wheel. The folders have no tokenizer, without which llama.cpp loads
nothing: they get one whose tokens are single bytes. llama.cpp has no code for biases of Qwen3, OLMo and Gemma 3
and does not load those; it ignores Gemma's query_pre_attn_scalar (gemma3_scaled) and multiplies an attention factor
by the formula's (olmo3_types); it needs a head of OLMoE's own; it ignores the windows of Mistral and Mixtral. Of gpt-oss it rounds the YaRN bounds whatever the
file says: there the second column holds `moescope score --ggml-yarn` against it.
"""
import argparse
import json
import pathlib
import shutil
import struct
import subprocess
import tempfile

import numpy as np
import xllamacpp

DATA = pathlib.Path(__file__).parent / "data"
NAMES = ["llama_tied", "llama_untied", "llama_linear", "llama_llama3", "qwen3_tied", "qwen3_yarn",
         "qwen3_moe_renormalised", "olmoe_plain", "olmoe_renormalised", "olmoe_yarn", "olmo2_heads", "olmo2_grouped",
         "olmo2_yarn", "olmo3_pattern", "olmo3_types", "olmo3_older", "gpt2_tied", "gpt2_untied", "gpt2_full",
         "gemma3_pattern", "gemma3_scaled", "gemma3_older", "gemma3_images",
         "mistral_window", "mistral_null", "mistral_silent", "mixtral_pair", "mixtral_many", "mixtral_window",
         "qwen2_tied", "qwen2_yarn", "gpt_oss_window", "gpt_oss_openai", "gpt_oss_mxfp4"]


def byte_alphabet():
    """GPT-2's 256 characters for bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in shown] + [chr(256 + i) for i in range(256 - len(shown))]


def write_tokenizer(folder, vocab):
    pre = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "vocab": {c: i for i, c in enumerate(byte_alphabet()[:vocab])}, "merges": []}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "normalizer": None,
                                                       "pre_tokenizer": pre, "model": model}))


def llama_logprobs(path, tokens, vocab):
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = 128
    params.n_gpu_layers = 0
    params.warmup = False
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(params)
    reply = server.handle_completions({"prompt": tokens, "n_predict": 1, "n_probs": vocab, "temperature": 0})
    reply = reply if isinstance(reply, dict) else json.loads(reply)
    out = np.full(vocab, np.nan)
    for row in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
        out[row["id"]] = row["logprob"]
    return out


def log_softmax(logits):
    shifted = logits.astype(float) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def rounded_yarn(moescope, folder, tokens, vocab):
    """What moescope computes with llama.cpp's bounds."""
    (folder / "in").write_text(json.dumps({"tokens": tokens + [0]}) + "\n")
    subprocess.run([moescope, "score", folder, "--input", folder / "in", "--output", folder / "out", "--logits",
                    folder / "logits", "--overwrite", "--ggml-yarn", "--progress", "off"], check=True, stdout=subprocess.DEVNULL)
    raw = (folder / "logits").read_bytes()
    header = struct.unpack("<Q", raw[:8])[0]
    return log_softmax(np.frombuffer(raw[8 + header:], "<f4").reshape(-1, vocab)[-1])


def check(moescope, name):
    about = json.loads((DATA / name / "golden.json").read_text())
    config = json.loads((DATA / name / "config.json").read_text())
    vocab = config.get("text_config", config)["vocab_size"]
    expected = log_softmax(np.fromfile(DATA / name / "logits.f32", "<f4").reshape(-1, vocab)[-3])
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / name
        shutil.copytree(DATA / name, folder, ignore=shutil.ignore_patterns("model.gguf", "original"))
        write_tokenizer(folder, vocab)
        subprocess.run([moescope, "convert", folder, folder / "out.gguf", "--to", "f32", "--what", "all", "--progress",
                        "off"], check=True, stdout=subprocess.DEVNULL)
        try:
            got = llama_logprobs(folder / "out.gguf", about["tokens"][:-2], vocab)
        except RuntimeError:  # its log on stderr has the cause
            print(f"{name}: llama.cpp does not load it", flush=True)
            return
        rounded = rounded_yarn(moescope, folder, about["tokens"][:-2], vocab) if name.startswith("gpt_oss") else None
    difference = np.nanmax(np.abs(got - expected))
    extra = "" if rounded is None else f", with --ggml-yarn {np.nanmax(np.abs(got - rounded)):.5f}"
    print(f"{name}: {np.isfinite(got).sum()} of {vocab} tokens, greatest difference {difference:.5f} nats, same first "
          f"{np.nanargmax(got) == expected.argmax()}{extra}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moescope", default="build/bin/moescope")
    parser.add_argument("names", nargs="*", default=NAMES)
    arguments = parser.parse_args()
    for each in arguments.names:
        check(arguments.moescope, each)
