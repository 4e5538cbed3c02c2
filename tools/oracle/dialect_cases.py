# SPDX-License-Identifier: Apache-2.0
"""Linears as auto-round 0.10 and modelopt 0.47 write them for make_published_fixtures.py, and what these make of them.

Both tools pack and unpack their own: auto-round's torch kernels give the weight as the product with an identity matrix.
"""

import torch
from auto_round.export.export_to_awq.utils import WQLinear_GEMM
from auto_round_extension.torch.qlinear_torch import QuantLinear as WithZeros
from auto_round_extension.torch.qlinear_torch_zp import QuantLinear as LessOne
from modelopt.torch.quantization.qtensor import FP8QTensor, MXFP8QTensor, NVFP4QTensor

# auto-round fills words of 32 outputs.
N, K, GROUP = 32, 96, 32


def random_linear(generator, bits, sym, group):
    """A weight that is on the grid of random scales and zero points."""
    groups = K // group
    u = torch.randint(0, 2**bits, (N, K), generator=generator)
    zeros = torch.full((N, groups), 2 ** (bits - 1)) if sym else torch.randint(1, 2**bits, (N, groups), generator=generator)
    scales = (torch.rand((N, groups), generator=generator) * 0.02 + 0.001).half().float()
    weight = scales.repeat_interleave(group, 1) * (u - zeros.repeat_interleave(group, 1))
    return weight, scales, zeros


def auto_round(packing, kernel, bits=4, sym=False, group=GROUP, seed=20, **config):
    weight, scales, zeros = random_linear(torch.Generator().manual_seed(seed), bits, sym, group)
    linear = torch.nn.Linear(K, N, bias=False)
    linear.weight.data = weight
    packed = kernel(bits, group, K, N, bias=False)
    packed.device = "cpu"
    packed.pack(linear, scales, zeros.float())
    tensors = {name: getattr(packed, name) for name in ("qweight", "qzeros", "scales")}
    # Products of 16 bits would be rounded.
    packed.scales = packed.scales.float()
    expected = packed(torch.eye(K)).T
    assert torch.equal(expected, weight)
    config = {"quant_method": "auto-round", "bits": bits, "group_size": group, "sym": sym, "data_type": "int",
              "packing_format": packing, "autoround_version": "0.10.2", "block_name_to_quantize": "model.layers", **config}
    return config, tensors, expected


def differing(others, own, **case):
    """A linear that `extra_config` names, in a checkpoint of others."""
    config, tensors, expected = auto_round("auto_round:auto_gptq", LessOne, **case)
    return {**config, **others, "extra_config": own}, tensors, expected


def auto_awq(seed=26):
    weight, scales, zeros = random_linear(torch.Generator().manual_seed(seed), 4, False, GROUP)
    linear = torch.nn.Linear(K, N, bias=False)
    linear.weight.data = weight
    packed = WQLinear_GEMM.from_linear(linear, 4, GROUP, scales=scales.T.contiguous(), zeros=zeros.T.contiguous())
    config = {"quant_method": "auto-round", "bits": 4, "group_size": GROUP, "sym": False, "packing_format": "auto_round:auto_awq"}
    return config, {name: getattr(packed, name).cpu() for name in ("qweight", "qzeros", "scales")}, weight


def modelopt(algorithm, weight, scale, expected, **tensors):
    config = {"quant_method": "modelopt", "quant_algo": algorithm, "ignore": ["lm_head"], "kv_cache_scheme": None,
              "producer": {"name": "modelopt", "version": "0.47.0"}}
    return config, {"weight": weight, "weight_scale": scale, "input_scale": torch.tensor(0.5), **tensors}, expected.float()


def weights(seed, n=N, k=K):
    return torch.randn((n, k), generator=torch.Generator().manual_seed(seed)) * 0.5


def fp8_tensor(seed=21):
    weight = weights(seed)
    scale = weight.abs().max() / 448
    quantised, _ = FP8QTensor.quantize(weight, scale)
    return modelopt("FP8", quantised._quantized_data, scale, quantised.dequantize(torch.float32, scale=scale, block_sizes=None))


def fp8_channels(seed=22):
    weight = weights(seed)
    scale = weight.abs().amax(1) / 448
    quantised = (weight / scale[:, None]).to(torch.float8_e4m3fn)
    return modelopt("FP8_PER_CHANNEL_PER_TOKEN", quantised, scale, quantised.float() * scale[:, None])


def fp8_blocks(seed=23):
    blocks = {-1: 128, -2: 128}
    quantised, scale = FP8QTensor.quantize(weights(seed, 128, 256), block_sizes=blocks)
    expected = quantised.dequantize(torch.float32, scale=scale, block_sizes=blocks)
    # A corner of it, which has a part of both blocks.
    return modelopt("fp8_pb_wo", quantised._quantized_data[:N, :160].contiguous(), scale.reshape(1, 1, 2, 1), expected[:N, :160])


def mxfp8(seed=24):
    quantised, scale = MXFP8QTensor.quantize(weights(seed))
    return modelopt("MXFP8", quantised._quantized_data, scale, quantised.dequantize(torch.float32, scale=scale))


def nvfp4(seed=25, **config):
    weight = weights(seed)
    quantised, scale, world = NVFP4QTensor.quantize(weight, 16)
    expected = quantised.dequantize(torch.bfloat16, scale=scale, double_scale=world, block_sizes={-1: 16})
    # Its table has no -0, which is as good as 0.
    codes = torch.stack([quantised._quantized_data & 15, quantised._quantized_data >> 4], -1).reshape(N, K)
    expected = torch.where(codes == 8, -0.0, expected)
    made, tensors, expected = modelopt("NVFP4", quantised._quantized_data, scale, expected, weight_scale_2=world)
    assert (expected - weight).abs().mean() < 0.05
    return {**made, **config}, tensors, expected


CASES = {
    "ar-gptq": lambda: auto_round("auto_round:auto_gptq", LessOne),
    "ar-gptq-8-sym": lambda: auto_round("auto_round:auto_gptq", LessOne, bits=8, sym=True),
    "ar-own": lambda: auto_round("auto_round", WithZeros),
    "ar-own-channel": lambda: auto_round("auto_round:gptqmodel", WithZeros, sym=True, group=K),
    "ar-extra-name": lambda: differing({"bits": 4, "sym": True}, {"layer.proj": {"bits": 8, "sym": False}}, bits=8),
    "ar-extra-pattern": lambda: differing({"group_size": 128}, {"layer.other": {"bits": 16}, ".*proj": {"group_size": 32}}),
    "ar-awq": auto_awq,
    "mo-fp8": fp8_tensor,
    "mo-fp8-channel": fp8_channels,
    "mo-fp8-block": fp8_blocks,
    "mo-mxfp8": mxfp8,
    "mo-nvfp4": nvfp4,
    "mo-mixed": lambda: nvfp4(quant_algo="MIXED_PRECISION", quantized_layers={"layer.proj": {"quant_algo": "NVFP4"}}),
}
