#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes test/fixtures/published/: small linears as other tools store them, and the weights that they stand for.

Needs compressed-tensors 0.20, bitsandbytes 0.50, auto-round 0.10 and nvidia-modelopt 0.47 beside
tools/oracle/requirements.txt.  Names of cases may be given; without, all are made.

compressed-tensors packs and unpacks its own.  GPTQ and AWQ are packed and unpacked by the formulas of the unpackers that
their tools publish (AutoGPTQ's and gptqmodel's torch kernels; AutoAWQ's packing utilities), written anew: the two ways
share nothing, and each must give back what the other was given.

CASE.safetensors: the tensors of the linear "layer.proj", and "expected" [n, k], f32.
cases.json: {CASE: quantization_config}
"""

import json
import pathlib
import sys

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import quantize
from safetensors.torch import save_file

import bitnet_cases
import bitsandbytes_cases
import dialect_cases
import small_float_cases

ROOT = pathlib.Path(__file__).parents[2] / "test/fixtures/published"
# The last group is shorter, and outputs fill words of 4 and 8 bits.
N, K, GROUP = 24, 80, 32
PREFIX = "layer.proj."
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def random_integers(bits, shape, generator):
    return torch.randint(0, 2**bits, shape, generator=generator, dtype=torch.int64)


def words(values):
    """int64 numbers below 2^32 as the int32 with the same bits."""
    return torch.where(values >= 2**31, values - 2**32, values).to(torch.int32)


def pack_rows(u, bits):
    """[k, n] -> [k * bits / 32, n]: number i of a word in bits [bits * i, bits * (i + 1))."""
    per = 32 // bits
    packed = torch.zeros(u.shape[0] // per, u.shape[1], dtype=torch.int64)
    for row in range(u.shape[0]):
        packed[row // per] |= u[row] << (bits * (row % per))
    return words(packed)


def pack_columns(u, bits, order=None):
    """[g, n] -> [g, n * bits / 32]; `order`: which number of a group is packed at place i."""
    per = 32 // bits
    packed = torch.zeros(u.shape[0], u.shape[1] // per, dtype=torch.int64)
    for column in range(packed.shape[1]):
        for place in range(per):
            number = order[place] if order else place
            packed[:, column] |= u[:, column * per + number] << (bits * place)
    return words(packed)


def gptq(bits, sym=True, group=GROUP, version="gptq", act_order=False, seed=1):
    generator = torch.Generator().manual_seed(seed)
    u = random_integers(bits, (K, N), generator)
    groups = -(-K // group) if group > 0 else 1
    g_idx = torch.arange(K) // (group if group > 0 else K)
    if act_order:
        g_idx = g_idx[torch.randperm(K, generator=generator)]
    # Version 1 stores z - 1, so that z is never 0.
    z = torch.full((groups, N), 2 ** (bits - 1)) if sym else 1 + random_integers(bits, (groups, N), generator) % (2**bits - 1)
    scales = (torch.rand((groups, N), generator=generator) * 0.02 + 0.001).half()
    tensors = {
        "qweight": pack_rows(u, bits),
        "qzeros": pack_columns(z - (1 if version == "gptq" else 0), bits),
        "scales": scales,
        "g_idx": g_idx.to(torch.int32),
    }
    # As the torch kernels unpack them: shifts along a new axis.
    shifts = torch.arange(0, 32, bits)
    mask = 2**bits - 1
    unpacked = ((tensors["qweight"].long()[:, None, :] >> shifts[None, :, None]) & mask).reshape(K, N)
    zeros = ((tensors["qzeros"].long()[:, :, None] >> shifts[None, None, :]) & mask).reshape(groups, N)
    zeros = zeros + (1 if version == "gptq" else 0)
    weight = scales.float()[g_idx] * (unpacked - zeros[g_idx]).float()
    assert torch.equal(unpacked, u) and torch.equal(zeros, z)
    config = {"quant_method": "gptq", "bits": bits, "group_size": group, "sym": sym, "desc_act": act_order,
              "checkpoint_format": version}
    return config, tensors, weight.T


def with_config(case, **config):
    made, tensors, expected = case
    return {**made, **config}, tensors, expected


def awq(seed=2):
    generator = torch.Generator().manual_seed(seed)
    u = random_integers(4, (K, N), generator)
    groups = -(-K // GROUP)
    z = random_integers(4, (groups, N), generator)
    scales = (torch.rand((groups, N), generator=generator) * 0.02 + 0.001).half()
    tensors = {"qweight": pack_columns(u, 4, AWQ_ORDER), "qzeros": pack_columns(z, 4, AWQ_ORDER), "scales": scales}

    def unpack(packed):
        # Place i of each word, then the places put back in order.
        places = (packed.long()[:, :, None] >> torch.arange(0, 32, 4)) & 15
        return places[:, :, [0, 4, 1, 5, 2, 6, 3, 7]].reshape(packed.shape[0], -1)

    assert torch.equal(unpack(tensors["qweight"]), u) and torch.equal(unpack(tensors["qzeros"]), z)
    g = torch.arange(K) // GROUP
    weight = scales.float()[g] * (unpack(tensors["qweight"]) - unpack(tensors["qzeros"])[g]).float()
    config = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"}
    return config, tensors, weight.T


def compressed(form, bits, strategy, symmetric=True, activations=None, act_order=False, k=96, seed=3):
    """compressed-tensors wants whole groups."""
    generator = torch.Generator().manual_seed(seed)
    args = QuantizationArgs(num_bits=bits, type="int", strategy=strategy, symmetric=symmetric,
                            group_size=GROUP if strategy == "group" else None)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    groups = k // GROUP if strategy == "group" else 1
    shape = (1,) if strategy == "tensor" else (N, groups)
    scale = torch.rand(shape, generator=generator) * 0.02 + 0.01
    limit = 2 ** (bits - 1)
    zero = torch.randint(-limit, limit, shape, generator=generator, dtype=torch.int8)
    weight = torch.randn((N, k), generator=generator) * 0.05
    state = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero if not symmetric else torch.zeros_like(zero)}
    compressor = BaseCompressor.get_value_from_registry(form)
    packed = compressor.compress(state, scheme)
    expected = compressor.decompress(dict(packed), scheme)["weight"].float()
    assert expected.unique().numel() > 8
    if act_order:
        # Version 0.20 writes no orders any more.  Channel i of the file has the group of the sorted channel place[i].
        place = torch.randperm(k, generator=generator)
        q = quantize(x=weight, scale=scale, zero_point=state["weight_zero_point"], args=args, dtype=torch.int8)[:, place]
        from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
        packed["weight_packed"] = pack_to_int32(q, bits)
        packed["weight_g_idx"] = (place // GROUP).to(torch.int32)
        expected = expected[:, place]
    config = {"quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"],
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": json.loads(args.model_dump_json()),
                                            "input_activations": activations, "output_activations": None}}}
    return config, {name: tensor.contiguous() for name, tensor in packed.items()}, expected


CASES = {
    "gptq-4-sym": lambda: gptq(4),
    "gptq-4-asym": lambda: gptq(4, sym=False),
    "gptq-4-asym-v2": lambda: gptq(4, sym=False, version="gptq_v2"),
    "gptq-4-act-order": lambda: gptq(4, sym=False, act_order=True),
    "gptq-4-channel": lambda: gptq(4, group=-1),
    "gptq-8-sym": lambda: gptq(8),
    "gptq-8-asym": lambda: gptq(8, sym=False, group=-1),
    "gptq-4-dynamic": lambda: with_config(
        gptq(4, sym=False), bits=8, sym=True, dynamic={"-:.*mlp": {}, r"+:layer\.(proj|other)": {"bits": 4, "sym": False}}),
    "awq": awq,
    "awq-gptqmodel": lambda: with_config(
        awq(8), version=None, checkpoint_format="gemm", group_size=128, dynamic={"layer": {"group_size": GROUP}}),
    "ct-pack-4": lambda: compressed("pack-quantized", 4, "group"),
    "ct-pack-4-asym": lambda: compressed("pack-quantized", 4, "group", symmetric=False),
    "ct-pack-4-channel-asym": lambda: compressed("pack-quantized", 4, "channel", symmetric=False),
    "ct-pack-4-ragged": lambda: compressed("pack-quantized", 4, "channel", k=90),
    "ct-pack-4-act-order": lambda: compressed("pack-quantized", 4, "group", act_order=True),
    "ct-pack-8": lambda: compressed("pack-quantized", 8, "group"),
    "ct-pack-8-asym": lambda: compressed("pack-quantized", 8, "group", symmetric=False),
    "ct-int-4": lambda: compressed("int-quantized", 4, "group"),
    "ct-int-8": lambda: compressed("int-quantized", 8, "channel"),
    "ct-int-8-asym": lambda: compressed("int-quantized", 8, "channel", symmetric=False),
    "ct-int-8-tensor": lambda: compressed("int-quantized", 8, "tensor"),
    "ct-pack-4-tensor-asym": lambda: compressed("pack-quantized", 4, "tensor", symmetric=False),
    "ct-int-8-tensor-asym": lambda: compressed("int-quantized", 8, "tensor", symmetric=False, k=64),
}


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    cases = {**CASES, **small_float_cases.CASES, **bitnet_cases.CASES, **bitsandbytes_cases.CASES, **dialect_cases.CASES}
    wanted = sys.argv[1:] or list(cases)
    configs = json.loads((ROOT / "cases.json").read_text()) if sys.argv[1:] else {}
    for name in wanted:
        config, tensors, expected = cases[name]()
        configs[name] = config
        stored = {PREFIX + suffix: tensor for suffix, tensor in tensors.items()}
        save_file({**stored, "expected": expected.contiguous().float()}, ROOT / f"{name}.safetensors")
    (ROOT / "cases.json").write_text(json.dumps(configs, indent=1) + "\n")


if __name__ == "__main__":
    main()
