# SPDX-License-Identifier: Apache-2.0
"""MiniCPM-V 2.6 and 4, whose classes come as code beside the checkpoint: their formulas, on SigLIP and Qwen2 or Llama of
transformers and the attention of torch. Parameters have the names of its checkpoints.
"""

from types import SimpleNamespace

import torch
from torch import nn
from transformers import (LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig,
                          SiglipVisionModel)

# What config.json says beside the text's own.
OTHERS = ("model_type", "architectures", "version", "vision_config", "query_num", "slice_config", "torch_dtype",
          "drop_vision_last_layer")


def cells(count, side):
    """Which of `side` learned positions each of `count` patches along an axis takes; counts are tensors there."""
    borders = torch.arange(1 / side, 1.0, 1 / side)
    places = torch.arange(0, 1 - 1e-6, 1 / torch.tensor(count, dtype=torch.int32))
    return torch.bucketize(places, borders, right=True)


def axis_table(count, width):
    """Sines and cosines of the places of an axis, [count, width]."""
    frequencies = 1 / 10000 ** (torch.arange(width // 2, dtype=torch.float32) / (width / 2))
    angles = torch.arange(count, dtype=torch.float32)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


class Resampler(nn.Module):
    def __init__(self, queries, width, patch_width):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, width))
        self.kv_proj = nn.Linear(patch_width, width, bias=False)
        self.attn = nn.MultiheadAttention(width, width // 128)
        self.ln_q, self.ln_kv, self.ln_post = (nn.LayerNorm(width, eps=1e-6) for _ in range(3))
        self.proj = nn.Parameter(torch.zeros(width, width))

    def forward(self, patches, rows, columns):
        """[rows * columns, patch_width] -> [queries, width]"""
        values = self.ln_kv(self.kv_proj(patches))
        half = values.shape[-1] // 2
        wide = axis_table(columns, half)[None].expand(rows, -1, -1)
        high = axis_table(rows, half)[:, None].expand(-1, columns, -1)
        keys = values + torch.cat([wide, high], -1).reshape(rows * columns, -1)
        out, _ = self.attn(self.ln_q(self.query), keys, values, need_weights=False)
        return self.ln_post(out) @ self.proj


class MiniCpmV(nn.Module):
    """raw: the content of config.json."""

    def __init__(self, raw):
        super().__init__()
        text = {key: value for key, value in raw.items() if key not in OTHERS}
        kind, config = (LlamaForCausalLM, LlamaConfig) if raw["version"] == 4 else (Qwen2ForCausalLM, Qwen2Config)
        self.llm = kind._from_config(config(**text), attn_implementation="eager")
        sizes = {key: value for key, value in raw["vision_config"].items() if key != "model_type"}
        vision = SiglipVisionConfig(**sizes, vision_use_head=False)
        self.vpm = SiglipVisionModel._from_config(vision, attn_implementation="eager")
        self.resampler = Resampler(raw["query_num"], raw["hidden_size"], vision.hidden_size)
        self.config = self.llm.config

    def encode(self, patches, rows, columns):
        """One slice, [rows * columns, 3 * patch * patch] -> [queries, hidden]."""
        embeddings = self.vpm.embeddings
        size = embeddings.patch_size
        embedded = embeddings.patch_embedding(patches.view(-1, 3, size, size)).flatten(1)
        side = embeddings.image_size // size
        places = (cells(rows, side)[:, None] * side + cells(columns, side)).flatten()
        hidden = (embedded + embeddings.position_embedding(places))[None]
        hidden = self.vpm.post_layernorm(self.vpm.encoder(inputs_embeds=hidden).last_hidden_state)
        return self.resampler(hidden[0], rows, columns)

    def forward(self, input_ids, slices=(), starts=(), **_):
        """slices: patches, rows and columns of each; starts: the first token in whose place its rows stand."""
        embeds = self.llm.model.embed_tokens(input_ids).clone()
        for one, start in zip(slices, starts):
            rows = self.encode(*one)
            embeds[0, start:start + len(rows)] = rows
        return SimpleNamespace(logits=self.llm(inputs_embeds=embeds, use_cache=False).logits)
