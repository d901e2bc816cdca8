# SPDX-License-Identifier: Apache-2.0
"""MXFP4 (OCP Microscaling Formats v1.0): blocks of 32 E2M1 values with one E8M0 scale.

The scale is the specification's floor(log2(max)) - 2 or one step more, whichever leaves the smaller
squared error: the former clips values above 6 * 2^e. Values round to nearest, ties to even."""

import torch
from torch import Tensor

BLOCK = 32
MAGNITUDES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def _power_of_two(e: Tensor) -> Tensor:
    """2^e for int32 e in [-126, 127], exactly."""
    return ((e + 127) << 23).view(torch.float32)


def _round(v: Tensor) -> Tensor:
    """Nearest E2M1 magnitude of v >= 0: steps of 0.5 below 2, of 1 below 4, of 2 up to 6."""
    fine, middle, coarse = torch.round(v * 2) * 0.5, torch.round(v), torch.round(v * 0.5) * 2
    return torch.where(v < 2, fine, torch.where(v < 4, middle, coarse)).clamp(max=6.0)


def _fit(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """blocks (..., 32) f32 -> magnitudes (..., 32) in units of the scale, exponents (..., 1) int32."""
    size = blocks.abs()
    top = size.amax(-1, keepdim=True).clamp(min=2.0**-100)
    low = (top.view(torch.int32) >> 23) - 127 - 2
    a, b = size * _power_of_two(-low), size * _power_of_two(-low - 1)
    qa, qb = _round(a), _round(b)
    use_b = 4 * (qb - b).square().sum(-1, keepdim=True) < (qa - a).square().sum(-1, keepdim=True)
    return torch.where(use_b, qb, qa), low + use_b.to(torch.int32)


def fake_quantize(w: Tensor) -> Tensor:
    """w (..., K) f32, K a multiple of 32 -> the values that MXFP4 would store."""
    blocks = w.unflatten(-1, (-1, BLOCK))
    magnitude, exponent = _fit(blocks)
    return torch.copysign(magnitude * _power_of_two(exponent), blocks).flatten(-2)


def quantize(w: Tensor) -> tuple[Tensor, Tensor]:
    """w as above -> codes (..., K) uint8 (sign in bit 3, index of the magnitude in bits 0 to 2),
    scales (..., K/32) uint8, biased by 127."""
    blocks = w.float().unflatten(-1, (-1, BLOCK))
    magnitude, exponent = _fit(blocks)
    index = torch.searchsorted(torch.tensor(MAGNITUDES, device=w.device), magnitude.contiguous())
    codes = index + 8 * torch.signbit(blocks).long()
    return codes.flatten(-2).to(torch.uint8), (exponent + 127).squeeze(-1).to(torch.uint8)


def dequantize(codes: Tensor, scales: Tensor) -> Tensor:
    """Codes and scales as quantize makes them -> (..., K) f32."""
    table = torch.tensor(MAGNITUDES + tuple(-m for m in MAGNITUDES), device=codes.device)
    values = table[codes.long()].unflatten(-1, (-1, BLOCK))
    return (values * torch.exp2(scales.float() - 127)[..., None]).flatten(-2)
