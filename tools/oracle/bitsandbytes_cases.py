# SPDX-License-Identifier: Apache-2.0
"""Linears as bitsandbytes 0.50 stores them, for make_published_fixtures.py, quantised and dequantised by it on a CPU.

What it makes of codes is derived anew, and must be the same: table[code] * absmax, rounded once; a nested absmax is
nested_map[code] * nested_absmax + offset.  Its kernel for CPUs loses its place where rows are no whole blocks (the result
is further from what was quantised): there its implementation in torch is asked.
"""

import bitsandbytes.functional as functional
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

N = 24


def four_bits(kind, dtype, k, blocksize=64, nested=None, seed=8):
    generator = torch.Generator().manual_seed(seed)
    weight = (torch.randn((N, k), generator=generator) * 0.05).to(dtype)
    codes, state = functional.quantize_4bit(weight, blocksize=blocksize, quant_type=kind)
    if nested:
        # As quantize_4bit does it with compress_statistics, but in blocks of which there are several here.
        state.offset = state.absmax.mean()
        state.absmax, state.state2 = functional.quantize_blockwise(state.absmax - state.offset, blocksize=nested)
        state.nested = True
    if k % blocksize:
        expected = _dequantize_4bit_compute(codes.reshape(-1), state.absmax, state.code, blocksize, (N, k), dtype).float()
    else:
        expected = functional.dequantize_4bit(codes, state).float()

    pairs = codes.reshape(-1).int()
    places = torch.stack([pairs >> 4, pairs & 15], dim=1).reshape(-1)[: N * k]
    scales = state.absmax
    if nested:
        inner = torch.arange(scales.numel()) // nested
        scales = state.state2.code[scales.int()] * state.state2.absmax[inner] + state.offset
    derived = (state.code[places] * scales[torch.arange(N * k) // blocksize]).to(dtype).float().reshape(N, k)
    assert torch.equal(derived, expected), (derived - expected).abs().max()
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": kind,
              "bnb_4bit_use_double_quant": nested is not None, "llm_int8_skip_modules": ["lm_head"]}
    stored = {f"weight.{name}": value for name, value in state.as_dict(packed=True).items()}
    return config, {"weight": codes, **stored}, expected


def eight_bits(k, seed=9):
    generator = torch.Generator().manual_seed(seed)
    weight = (torch.randn((N, k), generator=generator) * 0.05).half()
    codes, stats, _ = functional.int8_vectorwise_quant(weight)
    # A number is code * (stats / 127), rounded after each; bitsandbytes multiplies in another order.
    scale = stats * torch.tensor(1 / 127, dtype=torch.float32)
    expected = codes.float() * scale[:, None]
    theirs = functional.int8_vectorwise_dequant(codes, stats)
    assert ((expected - theirs).abs() <= 3e-7 * theirs.abs()).all()
    config = {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True}
    return config, {"weight": codes, "SCB": stats, "weight_format": torch.tensor(0, dtype=torch.uint8)}, expected


CASES = {
    "bnb-nf4": lambda: four_bits("nf4", torch.float32, 128),
    "bnb-nf4-across": lambda: four_bits("nf4", torch.float32, 96),
    "bnb-nf4-nested": lambda: four_bits("nf4", torch.bfloat16, 96, blocksize=32, nested=64),
    "bnb-nf4-ragged": lambda: four_bits("nf4", torch.bfloat16, 90),
    "bnb-fp4": lambda: four_bits("fp4", torch.float16, 128),
    "bnb-int8": lambda: eight_bits(96),
}
