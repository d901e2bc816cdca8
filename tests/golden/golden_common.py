# SPDX-License-Identifier: Apache-2.0
"""What all golden models share: random weights, logits in float32, the files of one folder."""
import json
import pathlib

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

TRANSFORMERS = "5.23.0"
DATA = pathlib.Path(__file__).parent / "data"


def randomise(model, seed, weight_gain=1.0):
    """Weights of unit gain; norms, biases and sinks far enough from 1 and 0 that ignoring one shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "norm" in name:
            p.data = 1 + 0.3 * noise
        elif name.endswith("sinks"):
            p.data = 0.5 + noise
        elif name.endswith("bias"):
            p.data = 0.3 * noise
        elif "embed_tokens" in name:
            p.data = noise
        elif "experts" in name:
            p.data = weight_gain * noise / p.shape[-2] ** 0.5  # stored (in, out)
        else:
            p.data = weight_gain * noise / p.shape[-1] ** 0.5


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0].float()


def write(name, model, tokens, state, config):
    folder = DATA / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    write_logits(name, model, tokens)


def write_logits(name, model, tokens):
    folder = DATA / name
    logits = logits_of(model, tokens)
    logits.numpy().astype("<f4").tofile(folder / "logits.f32")
    golden = {"transformers": transformers.__version__, "torch": torch.__version__, "tokens": tokens}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    print(f"{name}: {len(tokens)} tokens, logits {logits.min():.2f} to {logits.max():.2f}")


def prompt(seed, length, vocab):
    return np.random.default_rng(seed).integers(0, vocab, length).tolist()


def yarn(theta, factor, original):
    return {"rope_type": "yarn", "rope_theta": theta, "factor": factor, "beta_fast": 32.0, "beta_slow": 1.0,
            "truncate": False, "original_max_position_embeddings": original}


def permuted(weight, heads):
    """GGUF llama files pair neighbours: row i of a head goes to 2i, row i + half to 2i + 1."""
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, half, -1).transpose(1, 2).reshape(weight.shape).contiguous()


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
