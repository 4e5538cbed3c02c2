# SPDX-License-Identifier: Apache-2.0
"""Limits of SwiGLU that config.json of Ling 3 has, and that its class of transformers 5.24 leaves out.

The models were trained with them, and its makers' port to vLLM computes them: an MLP of experts, or of those that all tokens
pass through, takes min(silu(gate), limit) * clamp(up, -limit, limit) in place of silu(gate) * up; 0 stands for no limit.
"""

import torch
from torch.nn.functional import linear, silu

EXPERTS, SHARED = "expert_swiglu_limit_list", "share_expert_swiglu_limit_list"


def has_limits(raw):
    return any(any(raw.get(key) or []) for key in (EXPERTS, SHARED))


def limited(gate, up, limit):
    return silu(gate).clamp(max=limit) * up.clamp(-limit, limit)


def experts(module, limit):
    def forward(hidden, chosen, weights):
        out = torch.zeros_like(hidden)
        for row in range(hidden.shape[0]):
            for expert, weight in zip(chosen[row].tolist(), weights[row]):
                gate, up = linear(hidden[row], module.gate_up_proj[expert]).chunk(2)
                out[row] += weight * linear(limited(gate, up, limit), module.down_proj[expert])
        return out
    return forward


def mlp(module, limit):
    return lambda x: module.down_proj(limited(module.gate_proj(x), module.up_proj(x), limit))


def put_limits(model, raw):
    """The same model, with the limits of this config.json."""
    for key, part, forward in ((EXPERTS, "experts", experts), (SHARED, "shared_experts", mlp)):
        limits = raw.get(key)
        if not limits:
            continue  # Other classes may have no `model`.
        for layer, limit in zip(model.model.layers, limits):
            module = getattr(layer.mlp, part, None)
            if limit and module is not None:
                module.forward = forward(module, limit)
    return model
