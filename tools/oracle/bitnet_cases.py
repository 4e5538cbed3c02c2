# SPDX-License-Identifier: Apache-2.0
"""Cases of make_published_fixtures.py whose weights are -1, 0 and 1, packed and unpacked by transformers' own functions.

torch.compile is about speed alone: TORCHDYNAMO_DISABLE=1 runs them without a compiler.
"""

import torch
from transformers.integrations.bitnet import pack_weights, unpack_weights

N, K = 24, 80


def bitnet(linear_class, seed):
    weight = torch.randn((N, K), generator=torch.Generator().manual_seed(seed)) * 0.3
    scale = weight.abs().mean()
    rounded = (weight / scale).round().clamp(-1, 1)
    packed = pack_weights(rounded.to(torch.int8))
    ternary = unpack_weights(packed, torch.float32)
    assert torch.equal(rounded, ternary)
    # One class divides by what it keeps.  A power of two, so that both give the same bits.
    stored = torch.tensor([0.25 if linear_class == "bitlinear" else scale])
    factor = 4.0 if linear_class == "bitlinear" else scale
    config = {"quant_method": "bitnet", "linear_class": linear_class, "quantization_mode": "offline",
              "modules_to_not_convert": None}
    return config, {"weight": packed, "weight_scale": stored}, ternary * factor


CASES = {
    "bitnet-auto": lambda: bitnet("autobitlinear", 41),
    "bitnet-divided": lambda: bitnet("bitlinear", 42),
}
