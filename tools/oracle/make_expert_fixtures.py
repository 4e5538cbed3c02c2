#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes test/fixtures/expert-formats/: mixtures of experts as other tools store them, and what they give.

Needs compressed-tensors 0.20 beside tools/oracle/requirements.txt.  It quantises weights, and inputs that have one scale,
by its own functions.  What MindIE computes of msmodelslim's files, GPTQ's words and inputs with a scale for each token
(vLLM's max |x| / 127; compressed-tensors itself would divide by 127.5) are formulas, as in make_static_input_fixtures.py
and make_published_fixtures.py.

CASE.safetensors: the tensors of "E.gate_proj", "E.up_proj" and "E.down_proj", "input" [m, hidden], "chosen" i32 and
"probs" [m, top], and "output" [m, hidden], f32.
cases.json: {CASE: quantization_config, or of msmodelslim nothing}
"""

import json
import pathlib

import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import fake_quantize, quantize
from safetensors.torch import save_file

import make_published_fixtures as published

ROOT = pathlib.Path(__file__).parents[2] / "test/fixtures/expert-formats"
M, TOP, EXPERTS, HIDDEN, WIDTH, GROUP = 6, 2, 3, 96, 64, 32
SHAPES = {"gate_proj": (WIDTH, HIDDEN), "up_proj": (WIDTH, HIDDEN), "down_proj": (HIDDEN, WIDTH)}
# How far numbers are from where they would round to another integer: sums in f32 must not decide.
MARGIN = 1e-4


class Near(Exception):
    """Some number is too near."""


def away(numbers):
    if ((numbers - numbers.floor()) - 0.5).abs().min() < MARGIN:
        raise Near
    return numbers


def config(form, weights, activations=None):
    dump = lambda args: json.loads(args.model_dump_json()) if args else None
    return {"quant_method": "compressed-tensors", "format": form, "ignore": [],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": dump(weights),
                                          "input_activations": dump(activations), "output_activations": None}}}


class Compressed:
    """Of compressed-tensors: int8 with one scale for inputs, or int4 in groups, in the order of channels or in another."""

    def __init__(self, kind):
        self.kind = kind
        grouped = kind != "static"
        self.weights = QuantizationArgs(num_bits=4 if grouped else 8, type="int", symmetric=True,
                                        strategy="group" if grouped else "channel", group_size=GROUP if grouped else None)
        self.inputs = {
            "static": QuantizationArgs(num_bits=8, type="int", strategy="tensor", symmetric=True, dynamic=False),
            "tokens": QuantizationArgs(num_bits=8, type="int", strategy="token", symmetric=True, dynamic=True),
        }.get(kind)
        self.config = config("int-quantized" if kind == "static" else "pack-quantized", self.weights, self.inputs)

    def linear(self, name, expert, weight, shared):
        limit = 2 ** (self.weights.num_bits - 1) - 1
        n, k = weight.shape
        order = torch.arange(k)
        # The first expert's own order of channels is that of their groups.
        if self.kind == "order" and expert > 0:
            order = torch.randperm(k, generator=torch.Generator().manual_seed(shared))
        size = self.weights.group_size or k
        scale = (weight[:, order].reshape(n, -1, size).abs().amax(2) / limit).float()
        zero = torch.zeros_like(scale, dtype=torch.int8)
        options = {"scale": scale, "zero_point": zero, "args": self.weights}
        value = fake_quantize(x=weight[:, order], **options)[:, order.argsort()]
        q = quantize(x=weight[:, order], dtype=torch.int8, **options)[:, order.argsort()]
        if self.kind == "static":
            input_scale = torch.tensor([(2.0 + expert + shared % 3) / 127])
            tensors = {"weight": q, "weight_scale": scale, "input_scale": input_scale}

            def product(x):
                away(x / input_scale)
                none = torch.zeros(1, dtype=torch.int8)
                return fake_quantize(x=x, scale=input_scale, zero_point=none, args=self.inputs).double() @ value.double().T

            return tensors, product
        tensors = {"weight_packed": pack_to_int32(q, 4), "weight_scale": scale,
                   "weight_shape": torch.tensor([n, k])}
        if self.kind == "order" and expert > 0:
            tensors["weight_g_idx"] = (order.argsort() // GROUP).to(torch.int32)
        if self.kind != "tokens":
            return tensors, lambda x: x.double() @ value.double().T

        def product(x):
            token = (x.abs().amax(1, keepdim=True) / 127).float()
            whole = torch.round(away(x / token))
            theirs = fake_quantize(x=x, scale=token, zero_point=torch.zeros_like(token, dtype=torch.int8),
                                   args=QuantizationArgs(num_bits=8, strategy="channel", symmetric=True))
            assert torch.allclose(theirs, whole * token, atol=1e-6)
            return (whole * token).double() @ value.double().T

        return tensors, product


class Gptq:
    config = {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "sym": False, "desc_act": True,
              "checkpoint_format": "gptq"}

    def linear(self, name, expert, weight, shared):
        n, k = weight.shape
        generator = torch.Generator().manual_seed(shared)
        g_idx = (torch.arange(k) // GROUP)[torch.randperm(k, generator=generator)]
        u = published.random_integers(4, (k, n), generator)
        zero = 1 + published.random_integers(4, (k // GROUP, n), generator) % 15
        scales = (torch.rand((k // GROUP, n), generator=generator) * 0.02 + 0.001).half()
        value = scales.float()[g_idx] * (u - zero[g_idx]).float()
        tensors = {"qweight": published.pack_rows(u, 4), "qzeros": published.pack_columns(zero - 1, 4), "scales": scales,
                   "g_idx": g_idx.to(torch.int32)}
        return tensors, lambda x: x.double() @ value.double()


class Msmodelslim:
    config = None

    def linear(self, name, expert, weight, shared):
        scale = weight.abs().amax(1) / 127
        q = torch.round(weight / scale[:, None]).to(torch.int8)
        low, high = -2.0 - shared % 3, 3.0 + expert
        input_scale = torch.tensor([(high - low) / 255])
        offset = float(torch.round(-128 - low / input_scale))
        deq = (scale * input_scale).float()
        bias = (torch.randint(-300, 300, scale.shape) - int(offset) * q.long().sum(1)).to(torch.int32)
        tensors = {"weight": q, "deq_scale": deq, "quant_bias": bias, "input_scale": input_scale,
                   "input_offset": torch.tensor([offset])}

        def product(x):
            whole = torch.clamp(torch.round(away(x / input_scale + offset)), -128, 127).long()
            return (whole @ q.long().T + bias).double() * deq.double()

        return tensors, product


def mixture(method, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    x = torch.randn((M, HIDDEN), generator=generator)
    chosen = torch.stack([torch.randperm(EXPERTS, generator=generator)[:TOP] for _ in range(M)]).to(torch.int32)
    probs = torch.rand((M, TOP), generator=generator)
    tensors = {"input": x, "chosen": chosen, "probs": probs}
    output = torch.zeros((M, HIDDEN), dtype=torch.float64)
    for expert in range(EXPERTS):
        products = {}
        for name, shape in SHAPES.items():
            weight = torch.randn(shape, generator=generator) * 0.2
            # Gate and up have the same inputs.
            stored, products[name] = method.linear(name, expert, weight, seed + 2 * expert + (name == "down_proj"))
            tensors |= {f"{expert}.{name}.{suffix}": tensor.contiguous() for suffix, tensor in stored.items()}
        rows, places = torch.where(chosen == expert)
        gated = torch.nn.functional.silu(products["gate_proj"](x[rows])) * products["up_proj"](x[rows])
        output[rows] += probs[rows, places, None].double() * products["down_proj"](gated.float())
    return {**tensors, "output": output.float()}


CASES = {
    "compressed-tensors-static": Compressed("static"),
    "compressed-tensors-tokens": Compressed("tokens"),
    "compressed-tensors-order": Compressed("order"),
    "gptq-order": Gptq(),
    "msmodelslim-static": Msmodelslim(),
}


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    for name, method in CASES.items():
        for seed in range(1, 1000):
            try:
                save_file(mixture(method, 10 * seed), ROOT / f"{name}.safetensors")
                break
            except Near:
                continue
        else:
            raise SystemExit(f"{name}: some number is always near")
    configs = {name: method.config for name, method in CASES.items() if method.config}
    (ROOT / "cases.json").write_text(json.dumps(configs, indent=1) + "\n")


if __name__ == "__main__":
    main()
