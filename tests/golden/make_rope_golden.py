#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes data/rope.json: cosine and sine of gpt-oss's YaRN far beyond the original 4,096 positions, as
Hugging Face transformers and OpenAI's own torch implementation compute them (both in float32).

    pip download gpt-oss==0.0.9 --no-deps --python-version 3.12 --only-binary=:all:
    unzip gpt_oss-*.whl -d gpt-oss
    PYTHONPATH=gpt-oss python tests/golden/make_rope_golden.py
"""
import json

import torch
from gpt_oss.torch.model import RotaryEmbedding
from transformers import GptOssConfig
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssRotaryEmbedding

from golden_common import DATA

POSITIONS = [0, 1, 4095, 4096, 8192, 32768, 131071]
SCALING = {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
           "truncate": False, "original_max_position_embeddings": 4096}


def transformers_phases():
    config = GptOssConfig(head_dim=64, max_position_embeddings=131072, rope_parameters=SCALING)
    cosines, sines = GptOssRotaryEmbedding(config)(torch.zeros(1), torch.tensor([POSITIONS]))
    return cosines[0], sines[0]


def openai_phases():
    rope = RotaryEmbedding(head_dim=64, base=150000, dtype=torch.float32, initial_context_length=4096, scaling_factor=32.0,
                           ntk_alpha=1.0, ntk_beta=32.0, device=torch.device("cpu"))
    cosines, sines = rope._compute_cos_sin(max(POSITIONS) + 1)
    return cosines[POSITIONS], sines[POSITIONS]


rows = {}
for name, (cosines, sines) in (("transformers", transformers_phases()), ("openai", openai_phases())):
    rows[name] = [{"position": p, "cos": [round(x, 7) for x in cosines[i, :32].tolist()],
                   "sin": [round(x, 7) for x in sines[i, :32].tolist()]} for i, p in enumerate(POSITIONS)]
(DATA / "rope.json").write_text(json.dumps(rows, separators=(",", ":")))
