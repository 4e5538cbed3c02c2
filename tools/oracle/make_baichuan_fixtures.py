#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the cases of baichuan in test/fixtures/families, which transformers does not have: its classes come as code beside
the checkpoints. Here are their formulas in plain torch (arXiv:2309.10305, sections 2.3 and 2.4):

    x = x + o(attention(W_pack(rms(x))));  x = x + down(silu(gate(rms(x))) * up(rms(x)))

7B turns queries and keys by halves, 13B adds slope * distance to its scores (ALiBi, arXiv:2108.12409). The heads of the
second generation, whose vocabulary has 125696 tokens, have rows of length 1.

    make_baichuan_fixtures.py        writes all cases, in the layout of make_family_fixture.py

Of so many logits a case keeps some columns: `i/columns` int64 [C], those that `i/logits` [R, C] has.
"""

import json
import math
import pathlib

import torch
from safetensors.torch import save_file
from torch.nn.functional import linear, normalize, silu

from make_family_fixture import LARGEST, NEW_TOKENS, PROMPTS, SEED, rows_of
from recording import random_prompt
from reference import check
from seeded_weights import recipe_weights
from weight_scales import mean_and_std

FAMILIES = pathlib.Path(__file__).resolve().parents[2] / "test/fixtures/families"
BAICHUAN2_VOCAB = 125696
KEPT_COLUMNS = 128

COMMON = {"architectures": ["BaichuanForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
          "hidden_act": "silu", "initializer_range": 0.02, "model_type": "baichuan", "num_hidden_layers": 3,
          "tie_word_embeddings": False, "torch_dtype": "float32", "use_cache": True}
CASES = {
    "baichuan": {"hidden_size": 64, "intermediate_size": 112, "num_attention_heads": 4, "rms_norm_eps": 1e-6,
                 "max_position_embeddings": 256, "vocab_size": 131},
    # As many heads as no power of two.
    "baichuan-alibi": {"hidden_size": 96, "intermediate_size": 176, "num_attention_heads": 12, "rms_norm_eps": 1e-5,
                       "model_max_length": 256, "gradient_checkpointing": False, "vocab_size": 131},
    "baichuan-second": {"hidden_size": 32, "intermediate_size": 80, "num_attention_heads": 2, "rms_norm_eps": 1e-6,
                        "model_max_length": 256, "max_position_embeddings": 256, "vocab_size": BAICHUAN2_VOCAB,
                        "z_loss_weight": 0},
}


def shapes(config):
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    out = {"model.embed_tokens.weight": [vocab, hidden]}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        out |= {f"{layer}.self_attn.W_pack.weight": [3 * hidden, hidden],
                f"{layer}.self_attn.o_proj.weight": [hidden, hidden],
                f"{layer}.mlp.gate_proj.weight": [inner, hidden], f"{layer}.mlp.up_proj.weight": [inner, hidden],
                f"{layer}.mlp.down_proj.weight": [hidden, inner],
                f"{layer}.input_layernorm.weight": [hidden], f"{layer}.post_attention_layernorm.weight": [hidden]}
    return out | {"model.norm.weight": [hidden], "lm_head.weight": [vocab, hidden]}


def recipe_of(config):
    tensors = {}
    for name, shape in shapes(config).items():
        mean, std = mean_and_std(name, shape, False)
        # Rows of length 1 give logits whose spread is the norm's alone.
        mean *= 2.0 if name == "model.norm.weight" and config["vocab_size"] == BAICHUAN2_VOCAB else 1.0
        tensors[name] = {"shape": shape, "mean": float(f"{mean:.4g}"), "std": float(f"{std:.4g}")}
    return {"seed": SEED, "dtype": "float32", "tensors": tensors}


def rms(x, weight, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def turned(x, theta=10_000.0):
    """x [heads, tokens, size], each token by its position."""
    tokens, size = x.shape[1:]
    angles = torch.outer(torch.arange(tokens).float(), theta ** (-torch.arange(0, size, 2).float() / size))
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], -1) * sin


def slopes(heads):
    """Of the largest power of two heads the powers of its first slope; of the others every other one of twice as many."""
    first = lambda n: 2.0 ** (-8.0 / n)
    power = 2 ** math.floor(math.log2(heads))
    return torch.tensor([first(power) ** (i + 1) for i in range(power)]
                        + [first(2 * power) ** (2 * i + 1) for i in range(heads - power)])


def attention(x, config, weight, layer):
    tokens, hidden = x.shape
    heads = config["num_attention_heads"]
    q, k, v = (part.view(tokens, heads, -1).transpose(0, 1)
               for part in linear(x, weight[f"{layer}.self_attn.W_pack.weight"]).chunk(3, dim=-1))
    has_alibi = "max_position_embeddings" not in config
    if not has_alibi:
        q, k = turned(q), turned(k)
    scores = q @ k.transpose(1, 2) / math.sqrt(hidden // heads)
    if has_alibi:
        at = torch.arange(tokens)
        scores = scores + slopes(heads).view(-1, 1, 1) * (at.view(1, -1) - at.view(-1, 1))
    scores = scores.masked_fill(torch.ones(tokens, tokens).triu(1).bool(), -math.inf)
    out = (scores.softmax(-1) @ v).transpose(0, 1).reshape(tokens, hidden)
    return linear(out, weight[f"{layer}.self_attn.o_proj.weight"])


@torch.no_grad()
def logits_of(config, weight, ids):
    """[tokens, vocab] of a whole prompt."""
    eps = config["rms_norm_eps"]
    x = weight["model.embed_tokens.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        x = x + attention(rms(x, weight[f"{layer}.input_layernorm.weight"], eps), config, weight, layer)
        normed = rms(x, weight[f"{layer}.post_attention_layernorm.weight"], eps)
        gate, up = (linear(normed, weight[f"{layer}.mlp.{name}_proj.weight"]) for name in ("gate", "up"))
        x = x + linear(silu(gate) * up, weight[f"{layer}.mlp.down_proj.weight"])
    head = weight["lm_head.weight"]
    if config["vocab_size"] == BAICHUAN2_VOCAB:
        head = normalize(head)
    return linear(rms(x, weight["model.norm.weight"], eps), head)


def greedy(config, weight, ids):
    """The continuation, and how far ahead each of its tokens was."""
    margins = []
    for _ in range(NEW_TOKENS):
        top = logits_of(config, weight, ids)[-1].topk(2)
        margins.append(top.values[0] - top.values[1])
        ids = torch.cat([ids, top.indices[:1]])
    return ids[-NEW_TOKENS:], torch.stack(margins)


def record(config, weight, ids):
    rounded = {name: value.bfloat16().float() for name, value in weight.items()}
    rows, vocab = rows_of(len(ids)), config["vocab_size"]
    columns = torch.linspace(0, vocab - 1, min(vocab, KEPT_COLUMNS)).round().long() if vocab > 1000 else slice(None)
    tokens, margins = greedy(config, weight, ids)
    out = {"tokens": ids, "rows": rows, "greedy": tokens, "greedy_margin": margins,
           "logits": logits_of(config, weight, ids)[rows][:, columns],
           "logits_bf16": logits_of(config, rounded, ids)[rows][:, columns]}
    return out | ({"columns": columns} if vocab > 1000 else {})


def main():
    torch.set_num_threads(1)
    for name, sizes in CASES.items():
        folder, config = FAMILIES / name, COMMON | sizes
        folder.mkdir(exist_ok=True)
        recipe = recipe_of(config)
        weight = {key: torch.from_numpy(value) for key, value in recipe_weights(recipe).items()}
        tensors = {}
        for i, length in enumerate(PROMPTS):
            found = record(config, weight, random_prompt(length, config["vocab_size"]))
            tensors.update({f"{i}/{key}": value.contiguous() for key, value in found.items()})
        check(tensors)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in recipe["tensors"].items())
        (folder / "weights.json").write_text(
            f'{{"seed": {SEED}, "dtype": "float32", "tensors": {{\n{rows}\n}}}}\n')
        file = folder / "reference.safetensors"
        save_file(tensors, file, metadata={"model_type": "baichuan", "computed_by": "its published formulas in torch",
                                           "torch": torch.__version__.split("+")[0]})
        file.chmod(0o644)
        size = sum(path.stat().st_size for path in folder.iterdir())
        std = torch.cat([value.flatten() for key, value in tensors.items() if key.endswith("logits")]).std().item()
        margin = min(value.min().item() for key, value in tensors.items() if key.endswith("margin"))
        print(f"{folder}: {size} bytes, std of logits {std:.2f}, smallest margin {margin:.2g}")
        if size > LARGEST:
            raise SystemExit(f"larger than {LARGEST} bytes")


if __name__ == "__main__":
    main()
