#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes data/mxfp4.gguf: random and adversarial blocks and what the originals of the three MXFP4
quantiser rules make of them; with --compare N also runs N blocks through the engine's quantiser.

    python tests/golden/make_mxfp4.py                      # the committed sample
    python tests/golden/make_mxfp4.py --compare 1000000    # writes nothing, prints the differences

Originals, with the versions the committed file was made with:
  floor  ggml's own C code, quantize_row_mxfp4_ref of the libggml-base that llama-cpp-python 0.3.36
         (PyPI) installs, called through ctypes.
  ceil   triton_kernels' downcast_to_mxfp_torch with ROUND_UP (github.com/triton-lang/triton,
  rne    python/triton_kernels, commit 018a674) and ROUND_DOWN, its published arithmetic written
         again in numpy below, because the package of that name on PyPI is another one.
  rne also against torchao 0.18.0 (PyPI; pure torch, ScaleCalculationMode.FLOOR) where it can be
  imported. torchao keeps small values of blocks below 2^-124 that triton_kernels drops: those blocks
  are left out of that comparison.
ggml casts the exponent to uint8 without a check, so its result is undefined for blocks whose largest
magnitude lies below 2^-125: they are left out of "floor".
"""
import argparse
import ctypes
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
MIDPOINTS = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0], np.float32)
MAGNITUDES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
TINY_FLOOR = np.float32(2.0**-125)


def nudge(values, rng, steps):
    """Each value moved by up to `steps` units in the last place."""
    bits = values.astype(np.float32).view(np.int32)
    moved = bits + rng.integers(-steps, steps + 1, bits.shape, dtype=np.int32)
    return np.where(values == 0, bits, moved).astype(np.int32).view(np.float32)


def random_blocks(rng, n):
    """(n, 32) float32: six kinds of blocks, shuffled."""
    kinds = np.array_split(np.arange(n), 6)
    out = np.empty((n, 32), np.float32)
    shape = lambda k: (len(kinds[k]), 32)
    power = lambda k, low, high: np.exp2(rng.integers(low, high, (len(kinds[k]), 1)).astype(np.float32))
    # weights as models have them
    out[kinds[0]] = rng.normal(0, 1, shape(0)) * power(0, -12, 4)
    # whole range of exponents
    out[kinds[1]] = rng.normal(0, 1, shape(1)) * power(1, -120, 120)
    # largest magnitude next to where a rule changes its scale: 1, 1.5, 1.75, 2 times a power of two
    top = nudge(rng.choice(np.float32([1, 1.5, 1.75, 2]), (len(kinds[2]), 1)), rng, 3) * power(2, -110, 110)
    out[kinds[2]] = rng.uniform(-1, 1, shape(2)) * top
    out[kinds[2], 0] = top[:, 0] * rng.choice([-1, 1], len(kinds[2]))
    # elements next to the midpoints between two codes
    scale = power(3, -100, 100)
    values = nudge(rng.choice(MIDPOINTS, shape(3)), rng, 4) * rng.choice([-1, 1], shape(3))
    values[:, 0] = nudge(rng.choice(np.float32([4, 5, 6, 7, 7.99]), len(values)), rng, 2)
    out[kinds[3]] = values * scale
    # zeros of both signs, smallest and largest numbers
    edge = np.float32([0, -0.0, 1e-45, -1e-45, 1.1754944e-38, 2**-125, 2**-124, -2**-123, 3.4028235e38, -3.4e38, 1.7e38])
    out[kinds[4]] = rng.choice(edge, shape(4))
    out[kinds[4][::3]] = rng.choice(edge[:8], out[kinds[4][::3]].shape)
    out[kinds[4][::7]] = rng.choice(edge[:2], out[kinds[4][::7]].shape)
    # any finite bit pattern
    bits = rng.integers(0, 2**32, shape(5), dtype=np.uint64).astype(np.uint32)
    bits = np.where((bits & 0x7F800000) == 0x7F800000, bits & 0xBFFFFFFF, bits).astype(np.uint32)
    spread = rng.integers(0, 12, (len(kinds[5]), 1))  # half of the blocks with exponents close together
    base = rng.integers(2, 240, (len(kinds[5]), 1))
    near = (bits & 0x807FFFFF) | ((base + rng.integers(0, 12, shape(5)) % (spread + 1)) << 23).astype(np.uint32)
    out[kinds[5]] = np.where(spread < 6, near, bits).astype(np.uint32).view(np.float32)
    rng.shuffle(out)
    return out


def records(scales, codes):
    """scales (n) uint8, codes (n, 32) uint8 -> GGUF blocks (n, 17) uint8."""
    return np.concatenate([scales[:, None], codes[:, :16] | codes[:, 16:] << 4], axis=1).astype(np.uint8)


def ggml_floor(blocks):
    spec = importlib.util.find_spec("llama_cpp")
    library = next(pathlib.Path(spec.origin).parent.glob("lib/libggml-base.so"))
    quantize = ctypes.CDLL(str(library)).quantize_row_mxfp4_ref
    quantize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    quantize.restype = None
    source = np.ascontiguousarray(blocks)
    out = np.empty((len(blocks), 17), np.uint8)
    quantize(source.ctypes.data, out.ctypes.data, source.size)
    return out


def triton(blocks, round_up):
    """2 ** ceil or floor of the float32 quotient by way of its bits, then E2M1 codes to nearest with
    ties to even, on the float32 product with the inverse scale."""
    top = np.abs(blocks).max(axis=1)
    quotient = (top / np.float32(6 if round_up else 4)).view(np.uint32)
    rounded = (quotient + np.uint32(0x7FFFFF if round_up else 0)) & np.uint32(0x7F800000)
    scale = rounded.view(np.float32)
    with np.errstate(divide="ignore"):
        inverse = np.where(scale == 0, np.float32(0), np.float32(1) / scale).astype(np.float32)
    bits = (blocks * inverse[:, None]).view(np.uint32)
    sign, exponent, mantissa = bits >> 31, (bits >> 23 & 0xFF).astype(np.int64), bits & 0x7FFFFF
    small = exponent < 127
    with_one = np.uint32(0x400000) | mantissa >> 1
    shift = np.where(small, 126 - exponent, 0).clip(0, 31).astype(np.uint32)
    lost = small & (((mantissa & 1) != 0) | ((with_one & ((np.uint32(1) << shift) - np.uint32(1))) != 0))
    mantissa = np.where(small, with_one >> shift, mantissa)
    exponent = np.maximum(exponent, 126) - 126
    two = mantissa >> 21 & 3
    sticky = lost | ((mantissa & 0x1FFFFF) != 0)
    up = (two & 1) & (sticky | (two >> 1 & 1))
    code = np.minimum(((exponent << 2 | two) + up) >> 1, 7)
    return records((rounded >> 23).astype(np.uint8), (sign << 3 | code).astype(np.uint8))


def torchao_floor(blocks):
    """GGUF blocks by torchao, or None where it is not installed."""
    try:
        import torch
        from torchao.prototype.mx_formats.config import ScaleCalculationMode
        from torchao.prototype.mx_formats.mx_tensor import to_mx
    except ImportError as missing:
        print("torchao is not compared:", missing)
        return None
    scales, packed = to_mx(torch.from_numpy(blocks), torch.float4_e2m1fn_x2, 32, ScaleCalculationMode.FLOOR)
    packed = packed.view(torch.uint8).numpy().reshape(len(blocks), 16)
    codes = np.stack([packed & 15, packed >> 4], axis=-1).reshape(len(blocks), 32)
    return records(scales.view(torch.uint8).numpy().reshape(-1), codes)


def originals(blocks):
    return {"floor": ggml_floor(blocks), "ceil": triton(blocks, True), "rne": triton(blocks, False)}


def engine(rule, blocks, program):
    result = subprocess.run([program, rule], input=blocks.tobytes(), capture_output=True, check=True)
    return np.frombuffer(result.stdout, np.uint8).reshape(-1, 17)


def report(name, ours, theirs, blocks, keep):
    different = np.flatnonzero((ours != theirs).any(axis=1) & keep)
    print(f"{name}: {keep.sum()} blocks compared, {len(different)} differ")
    if len(different):
        i = different[0]
        print("  first:", blocks[i], "ours", ours[i], "original", theirs[i], sep="\n  ")
    return len(different)


def compare(count):
    rng = np.random.default_rng(4)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/mxfp4_blocks"
        sources = [HERE / "mxfp4_blocks.cpp", ROOT / "engine/formats/mxfp4.cpp"]
        subprocess.run(["g++", "-std=c++20", "-O2", f"-I{ROOT}", *map(str, sources), "-o", program], check=True)
        blocks = random_blocks(rng, count)
        top = np.abs(blocks).max(axis=1)
        expected = originals(blocks)
        for rule, theirs in expected.items():
            keep = (top == 0) | (top >= TINY_FLOOR) if rule == "floor" else np.ones(count, bool)
            bad += report(rule, engine(rule, blocks, program), theirs, blocks, keep)
        theirs = torchao_floor(blocks)
        if theirs is not None:
            keep = (top == 0) | (top >= np.float32(2.0**-124))
            bad += report("rne, torchao", engine("rne", blocks, program), theirs, blocks, keep)
    return 1 if bad else 0


def write(drawn, kept):
    import gguf

    blocks = random_blocks(np.random.default_rng(20261124), drawn)
    top = np.abs(blocks).max(axis=1)
    blocks = blocks[(top == 0) | (top >= TINY_FLOOR)][:kept]  # shuffled: every kind is among them
    out = HERE / "data" / "mxfp4.gguf"
    writer = gguf.GGUFWriter(out, "golden")
    writer.add_tensor("blocks", blocks)
    for rule, stored in originals(blocks).items():
        writer.add_tensor(rule, stored, raw_dtype=gguf.GGMLQuantizationType.MXFP4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(out, len(blocks), "blocks,", out.stat().st_size, "bytes")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", type=int, metavar="N")
    count = parser.parse_args().compare
    return compare(count) if count else write(3000, 1400)


if __name__ == "__main__":
    sys.exit(main())
