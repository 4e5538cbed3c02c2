#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes test/fixtures/static-inputs/: products of int8 whose inputs have one scale, as other tools store them.

Needs compressed-tensors 0.20 beside tools/oracle/requirements.txt.  It quantises the inputs of its own linears and their
weights.  What MindIE computes of msmodelslim's files is written down from the formula of its operations: whole numbers
round(x / input_scale + input_offset), sums of integers plus quant_bias, times deq_scale.

CASE.safetensors: the tensors of the linear "layer.proj", "input" [m, k] and "output" [m, n], f32.
"""

import pathlib

import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import fake_quantize, quantize
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).parents[2] / "test/fixtures/static-inputs"
M, N, K = 5, 24, 96


def operands(seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((M, K), generator=generator)
    x[0, :4] *= 4  # Beyond what int8 holds.
    return x, torch.randn((N, K), generator=generator) * 0.05, torch.randn(N, generator=generator)


def compressed(bias):
    x, weight, added = operands(11)
    weights = QuantizationArgs(num_bits=8, type="int", strategy="channel", symmetric=True)
    inputs = QuantizationArgs(num_bits=8, type="int", strategy="tensor", symmetric=True, dynamic=False)
    scale = (weight.abs().amax(1, keepdim=True) / 127).float()
    zero = torch.zeros_like(scale, dtype=torch.int8)
    input_scale = torch.tensor([2.5 / 127])
    quantised = fake_quantize(x=x, scale=input_scale, zero_point=torch.zeros(1, dtype=torch.int8), args=inputs)
    dequantised = fake_quantize(x=weight, scale=scale, zero_point=zero, args=weights)
    tensors = {"weight": quantize(x=weight, scale=scale, zero_point=zero, args=weights, dtype=torch.int8),
               "weight_scale": scale, "input_scale": input_scale}
    output = quantised.double() @ dequantised.double().T
    if bias:
        tensors["bias"] = added
        output += added.double()
    return tensors, x, output


def msmodelslim(words, seed=12):
    x, weight, added = operands(seed)
    weight_scale = weight.abs().amax(1) / 127
    q = torch.round(weight / weight_scale[:, None]).to(torch.int8)
    low, high = -2.0, 3.0
    input_scale = (high - low) / 255
    input_offset = round(-128 - low / input_scale)
    deq_scale = (weight_scale * input_scale).float()
    quant_bias = torch.round(added / deq_scale).long() - input_offset * q.long().sum(1)
    whole = torch.clamp(torch.round(x / input_scale + input_offset), -128, 127).long()
    output = (whole @ q.long().T + quant_bias).double() * deq_scale.double()
    # It is near the product of floats, but where inputs were cut off.
    floats = x.clamp(low, high).double() @ (q.double() * weight_scale[:, None].double()).T + added
    assert (output - floats).abs().max() < 0.05, (output - floats).abs().max()
    if words:
        deq_scale = deq_scale.view(torch.int32).to(torch.int64)
    tensors = {"weight": q, "deq_scale": deq_scale, "quant_bias": quant_bias.to(torch.int32), "bias": added,
               "input_scale": torch.tensor([input_scale]), "input_offset": torch.tensor([float(input_offset)])}
    return tensors, x, output


CASES = {
    "compressed-tensors": lambda: compressed(bias=False),
    "compressed-tensors-bias": lambda: compressed(bias=True),
    "msmodelslim": lambda: msmodelslim(words=False),
    "msmodelslim-words": lambda: msmodelslim(words=True),
}


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        tensors, x, output = make()
        stored = {f"layer.proj.{suffix}": tensor.contiguous() for suffix, tensor in tensors.items()}
        save_file({**stored, "input": x, "output": output.float()}, ROOT / f"{name}.safetensors")


if __name__ == "__main__":
    main()
