#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes data/gpt_oss_openai/original/logits.f32: the logits of the golden model as OpenAI's own torch
implementation computes them, a witness independent of transformers.

    pip download gpt-oss==0.0.9 --no-deps --python-version 3.12 --only-binary=:all:
    unzip gpt_oss-*.whl -d gpt-oss
    PYTHONPATH=gpt-oss python tests/golden/make_openai_golden.py

Its parameters are widened to float32 first (it makes them bfloat16), so that the arithmetic is compared
and not the rounding.
"""
import json

import numpy as np
import torch
from gpt_oss.torch.model import ModelConfig, Transformer
from gpt_oss.torch.weights import Checkpoint

from golden_common import DATA

FOLDER = DATA / "gpt_oss_openai"

config = ModelConfig(**json.loads((FOLDER / "original" / "config.json").read_text()))
model = Transformer(config, torch.device("cpu")).float().eval()
checkpoint = Checkpoint(str(FOLDER / "original"), torch.device("cpu"))
for name, parameter in model.named_parameters():
    parameter.data = checkpoint.get(name).float()
tokens = json.loads((FOLDER / "golden.json").read_text())["tokens"]
with torch.no_grad():
    logits = model(torch.tensor(tokens)).float().numpy()
logits.astype("<f4").tofile(FOLDER / "original" / "logits.f32")
theirs = np.fromfile(FOLDER / "logits.f32", dtype="<f4").reshape(logits.shape)
print(f"{logits.shape}, relative difference from transformers {abs(logits - theirs).max() / abs(theirs).max():.2g}")
