# SPDX-License-Identifier: Apache-2.0
"""Linears of floats of 8 and 4 bits for make_published_fixtures.py, and the weights that they stand for.

Weights are dequantised by transformers (Fp8Dequantize, convert_moe_packed_tensors) and by compressed-tensors; blocks that
are ragged, which transformers refuses, by repeating scales.  Every e4m3 and e2m1 number occurs.
"""

import json

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from transformers.integrations.finegrained_fp8 import Fp8Dequantize
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

N = 24


def numbers(k, generator):
    codes = torch.arange(N * k) * 37 % 256
    codes[codes % 128 == 127] = 1  # No NaN.
    return codes[torch.randperm(N * k, generator=generator)].to(torch.uint8).reshape(N, k).view(torch.float8_e4m3fn)


def scales(shape, generator):
    return torch.rand(shape, generator=generator) * 0.02 + 0.001


def fp8(k, block=None, shape=None, powers=False, dtype=torch.float32, seed=5):
    generator = torch.Generator().manual_seed(seed)
    weight = numbers(k, generator)
    shape = shape if shape is not None else [-(-N // block[0]), -(-k // block[1])]
    scale = scales(shape, generator).to(dtype)
    if powers:
        scale = torch.randint(115, 125, shape, generator=generator, dtype=torch.uint8)
    factor = (scale.float() - 127).exp2() if powers else scale.float()
    if block and N % block[0] == 0 and k % block[1] == 0:
        expected = Fp8Dequantize(None)._dequantize_one(weight, scale, torch.float32)
    elif block:
        expected = weight.float() * factor.repeat_interleave(block[0], 0)[:N].repeat_interleave(block[1], 1)[:, :k]
    else:
        expected = weight.float() * factor
    name = "weight_scale_inv" if block or not shape else "weight_scale"
    config = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": block}
    return config, {"weight": weight, name: scale}, expected


def mxfp4(spread, seed=6, k=96):
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 256, (N, k // 32, 16), generator=generator, dtype=torch.uint8)
    scale = torch.randint(118, 118 + spread, (N, k // 32), generator=generator, dtype=torch.uint8)
    # It transposes, for gpt-oss's experts.
    expected = convert_moe_packed_tensors(blocks[None], scale[None], dtype=torch.float32)[0].T
    return {"quant_method": "mxfp4"}, {"weight_blocks": blocks, "weight_scales": scale}, expected


def compressed(form, k=96, seed=7, **args):
    generator = torch.Generator().manual_seed(seed)
    arguments = QuantizationArgs(type="float", symmetric=True, **args)
    scheme = QuantizationScheme(targets=["Linear"], weights=arguments)
    shape = {"tensor": (1,), "channel": (N, 1), "block": (N // 8, k // 32), "group": (N, k // 32)}[args["strategy"]]
    scale = scales(shape, generator)
    if args["num_bits"] == 4:
        scale = torch.randint(-8, -4, shape, generator=generator).float().exp2()
    weight = torch.randn((N, k), generator=generator) * 0.5
    compressor = BaseCompressor.get_value_from_registry(form)
    packed = compressor.compress({"weight": weight, "weight_scale": scale}, scheme)
    expected = compressor.decompress(dict(packed), scheme)["weight"].float()
    assert expected.unique().numel() > 8
    config = {"quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"],
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": json.loads(arguments.model_dump_json()),
                                            "input_activations": None, "output_activations": None}}}
    return config, {name: tensor.contiguous() for name, tensor in packed.items()}, expected


def nvfp4(k=96, seed=10):
    generator = torch.Generator().manual_seed(seed)
    arguments = QuantizationArgs(type="float", symmetric=True, num_bits=4, strategy="tensor_group", group_size=16,
                                 scale_dtype=torch.float8_e4m3fn)
    scheme = QuantizationScheme(targets=["Linear"], weights=arguments)
    weight = torch.randn((N, k), generator=generator) * 0.5
    world = torch.tensor([448 * 6 / weight.abs().max()])
    scale = (weight.reshape(N, -1, 16).abs().amax(-1) / 6 * world).to(torch.float8_e4m3fn).float()
    compressor = BaseCompressor.get_value_from_registry("nvfp4-pack-quantized")
    packed = compressor.compress({"weight": weight, "weight_scale": scale, "weight_global_scale": world}, scheme)
    expected = compressor.decompress(dict(packed), scheme)["weight"].float()
    assert expected.unique().numel() > 8 and (expected - weight).abs().mean() < 0.05
    config = {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized", "ignore": ["lm_head"],
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": json.loads(arguments.model_dump_json()),
                                            "input_activations": None, "output_activations": None}}}
    return config, {name: tensor.contiguous() for name, tensor in packed.items()}, expected


def fbgemm(seed=11):
    _, tensors, expected = fp8(80, shape=[N, 1], seed=seed)
    return {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}, {**tensors, "input_scale_ub": torch.tensor([1200.0])}, expected


CASES = {
    "fp8-block": lambda: fp8(96, [8, 32]),
    "fp8-block-ragged": lambda: fp8(80, [16, 64]),
    "fp8-block-powers": lambda: fp8(96, [8, 32], powers=True),
    "fp8-block-bf16": lambda: fp8(80, [32, 32], dtype=torch.bfloat16),
    "fp8-tensor": lambda: fp8(80, shape=[]),
    "fp8-channel": lambda: fp8(80, shape=[N, 1]),
    "fp8-fbgemm": fbgemm,
    "mxfp4": lambda: mxfp4(9),
    "mxfp4-narrow": lambda: mxfp4(3),
    "ct-float-8": lambda: compressed("float-quantized", num_bits=8, strategy="channel"),
    "ct-float-8-tensor": lambda: compressed("float-quantized", num_bits=8, strategy="tensor"),
    "ct-float-8-block": lambda: compressed("float-quantized", num_bits=8, strategy="block", block_structure=[8, 32]),
    "ct-mxfp4": lambda: compressed("mxfp4-pack-quantized", num_bits=4, strategy="group", group_size=32,
                                   scale_dtype=torch.uint8),
    "ct-nvfp4": nvfp4,
}
