# SPDX-License-Identifier: Apache-2.0
"""Writes the small random checkpoint of a case: config.json and weights.json, the recipe of its weights."""

import json

import numpy
import torch
from transformers import CONFIG_MAPPING, AutoModelForImageTextToText

from make_family_fixture import SEED
from media.base import write_json
from remote_media import MEDIA_FAMILIES
from seeded_weights import recipe_weights
from tiny_checkpoint import draw, put, saved, write_recipe

# Bounds that some numbers are beyond.
BOUNDS = {"input_min": -1.5, "input_max": 1.25, "output_min": -1.0, "output_max": 1.75}
# Ends of names of weights that are none of a product, and what is otherwise of them than `draw` has it.
SCALES = [
    # Rows of their own.
    (("position_embedding", "position_embeddings", "position_embedding_table", "class_embedding", "cls_token",
      "positional_embedding_vlm", "pos_emb.weight", "pos_embed", ".query", "query_tokens", ".image_positions"), dict(std=1.0)),
    # What layers' results are multiplied by.
    (("lambda_1", "lambda_2", "ls1", "ls2", "gamma_1", "gamma_2", "std_scale"), dict(mean=1.0)),
    (("std_bias",), dict(std=4.0)),
    # Vectors of distances.
    (("rel_pos_h", "rel_pos_w"), dict(std=0.3)),
    (("rel_pos_emb.weight",), dict(std=1.0)),
    # What a norm over batches has seen.
    (("running_var",), dict(mean=1.0, std=0.15)),
    # Mllama's: what is learned of places, and gates that let through.
    (("positional_embedding.embedding",), dict(std=1.0)),
    (("embedding.gate", "gate_attn", "gate_ffn", "_attn_gate", "_mlp_gate"), dict(mean=0.7)),
    *(((end,), dict(mean=bound)) for end, bound in BOUNDS.items()),
]
# What 5.24 reads under the latter names of Kimi-K2.5's and Qianfan-OCR's files it writes under the former, not all of
# which it reads.
PUBLISHED = [
    ("language_model.model.encoder.layers.", "language_model.model.layers."),
    ("language_model.model.blocks.", "language_model.model.layers."),
    ("model.mm_projector.", "mm_projector."),
    ("vision_tower.encoder.patch_embed.", "vision_tower.patch_embed."),
]
# Whose experts published files have as 5.24 writes them.
AS_WRITTEN = ("aria", "mistral3", "qwen3_omni_moe_thinker")


def recipe_of(tensors, model, seed, tied=False):
    found = draw(tensors, model, False)
    if tied:
        # Of the encoder no weight is tied.
        found |= {name: entry for name, entry in draw(tensors, model, True).items()
                  if name.startswith(("language_model", "model.language_model"))}
    recipe = {"seed": seed, "dtype": "float32", "tensors": found}
    for name, entry in recipe["tensors"].items():
        # A convolution sums over all that is behind its outputs.
        if len(entry["shape"]) >= 4:
            entry["std"] = float(f"{1.5 / numpy.prod(entry['shape'][1:]) ** 0.5:.4g}")
        # Published files of Qwen have experts [experts, inputs, outputs], 5.24 writes [experts, outputs, inputs], and
        # reads both.
        stacked = ".layers.0.mlp.experts." in name and len(entry["shape"]) == 3
        if stacked and model.config.model_type not in AS_WRITTEN:
            entry["shape"] = [entry["shape"][i] for i in (0, 2, 1)]
        for ends, scale in SCALES:
            if name.endswith(ends):
                entry |= scale
    return recipe


def renamed(name, pairs):
    """A name whose first part is another one, as the first pair says that fits it."""
    return next((other + name[len(one):] for one, other in pairs if name.startswith(one)), name)


def transformers_checkpoint(case, family, out):
    """Writes config.json and the recipe of a family that transformers has. Returns what loads the model."""
    config = CONFIG_MAPPING[case.get("config_of", family)](**case["config"])
    torch.manual_seed(0)
    from_config = case["model"]._from_config if "model" in case else AutoModelForImageTextToText.from_config
    made = from_config(config, attn_implementation="eager").float().eval()
    model_class = type(made)
    kept = case.get("stored", case.get("thinker", []))
    stored = [(read, on_disk) for on_disk, read in kept]
    tensors = {renamed(renamed(name, PUBLISHED), stored): tensor for name, tensor in saved(made, out).items()}
    write_json(out / "config.json", json.loads((out / "config.json").read_text()))
    (out / "generation_config.json").unlink(missing_ok=True)
    make = lambda found: put(found, model_class, out, config, "float32", lambda name: renamed(name, kept))
    head = next((name for name in tensors if name.endswith("lm_head.weight")), None)
    norms = ("model.norm.weight", "embedding_norm.weight", "decoder.final_layer_norm.weight")
    last = None if head else next(name for name in tensors if name.endswith(norms))
    # Gemma's norms are stored as distances from one.
    stored_zero = last is not None and tensors[last].abs().max() == 0
    recipe = recipe_of(tensors, made, case.get("seed", SEED), head is None)
    for name, entry in recipe["tensors"].items():
        case.get("scale", lambda *_: None)(name, entry)
    write_recipe(recipe, out, make, head, last, stored_zero)
    load = lambda: model_class.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()
    return case["loaded"](load, case, out) if "loaded" in case else load


def remote_checkpoint(case, out):
    """The same of a family that transformers has under other names."""
    raw = case["raw"]
    stand_in = MEDIA_FAMILIES[raw["model_type"]](raw)
    write_json(out / "config.json", raw)
    tensors = {name: torch.ones(shape) for name, (shape, _) in stand_in.tensors.items()}

    def load(recipe):
        return stand_in.model({name: torch.from_numpy(value) for name, value in recipe_weights(recipe).items()})

    recipe = recipe_of(tensors, torch.nn.Module(), case.get("seed", SEED), stand_in.head is None)
    for name, entry in recipe["tensors"].items():
        case.get("scale", lambda *_: None)(name, entry)
    write_recipe(recipe, out, load, stand_in.head, None if stand_in.head else "model.norm.weight")
    return lambda: load(json.loads((out / "weights.json").read_text()))


def wrap_thinker(out, family):
    """Writes config.json as published files have it, in which that of the class is a part; 5.24 reads none such."""
    raw = json.loads((out / "config.json").read_text())
    whole = {key: raw.pop(key) for key in ("architectures", "transformers_version")} | dict(model_type=family)
    write_json(out / "config.json", whole | dict(thinker_config=raw))
