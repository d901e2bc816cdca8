#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes data/dtypes.gguf: random blocks of every format and what gguf-py makes of them.

gguf-py (PyPI "gguf") is an implementation independent of ours; needed only to remake the file.
Tensor "Q4_K" holds the blocks, "Q4_K.expected" the float32 values.
"""
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants

ROWS, COLS = 4, 256
# byte offsets of float16 fields within a block; random bytes there would be NaN now and then
HALF_FIELDS = {T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}


def random_blocks(rng, kind):
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (ROWS * COLS // weights, size), dtype=np.uint8)
    for field in HALF_FIELDS.get(kind, []):
        values = rng.normal(0, 0.1, len(blocks)).astype(np.float16)
        blocks[:, field:field + 2] = values.view(np.uint8).reshape(-1, 2)
    if kind == T.MXFP4:
        blocks[:, 0] = rng.integers(100, 140, len(blocks))
    return blocks.reshape(ROWS, -1)


def main():
    rng = np.random.default_rng(20261123)
    out = pathlib.Path(__file__).parent / "data" / "dtypes.gguf"
    out.parent.mkdir(exist_ok=True)
    writer = gguf.GGUFWriter(out, "golden")
    writer.add_array("test.strings", ["", "a", "\u00e9\U0001f600"])
    writer.add_array("test.long", list(range(2000)))
    writer.add_uint8("test.u8", 255)
    writer.add_int8("test.i8", -128)
    writer.add_uint16("test.u16", 65535)
    writer.add_int16("test.i16", -32768)
    writer.add_int32("test.i32", -2147483648)
    writer.add_uint64("test.u64", 2**64 - 1)
    writer.add_int64("test.i64", -2**63)
    writer.add_float32("test.f32", 0.15625)
    writer.add_float64("test.f64", -1e300)
    writer.add_bool("test.bool", True)

    def add_blocks(kind):
        blocks = random_blocks(rng, kind)
        writer.add_tensor(kind.name, blocks, raw_dtype=kind)
        writer.add_tensor(kind.name + ".expected", quants.dequantize(blocks, kind).astype(np.float32))

    for kind in [T.Q8_0, T.Q4_0, T.Q4_1, T.Q4_K, T.Q5_K, T.Q6_K, T.MXFP4]:
        add_blocks(kind)
    values = (rng.normal(0, 1, (ROWS, COLS)) * 10.0 ** rng.integers(-7, 4, (ROWS, COLS))).astype(np.float32)
    writer.add_tensor("values", values)
    halves = values.astype(np.float16)
    writer.add_tensor("F16", halves)
    writer.add_tensor("F16.expected", halves.astype(np.float32))
    bf16 = quants.quantize(values, T.BF16)
    writer.add_tensor("BF16", bf16, raw_dtype=T.BF16)
    writer.add_tensor("BF16.expected", quants.dequantize(bf16, T.BF16).astype(np.float32))
    for kind in [T.Q8_0, T.Q4_0, T.Q4_1, T.MXFP4]:  # what quantizeRow must give for "values"
        writer.add_tensor(kind.name + ".quantized", quants.quantize(values, kind), raw_dtype=kind)
    add_blocks(T.Q5_0)  # last, so that what was drawn before stays as it was
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(out, out.stat().st_size)


if __name__ == "__main__":
    main()
