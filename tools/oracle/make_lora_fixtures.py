#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes test/fixtures/lora/: what peft 0.19.1 computes with adapters beside small random checkpoints, those of cases of
test/fixtures/families.

    make_lora_fixtures.py         # all cases
    make_lora_fixtures.py phi3    # those named

CASE.json: {"tokens": a prompt, "rows": the positions whose logits are recorded, "adapters": {NAME: {"config":
adapter_config.json, "weights": the recipe of its tensors (seeded_weights.py), "greedy": the continuation}}}
CASE.safetensors: NAME f32 [rows, vocab], the logits with that adapter, "" those without any; NAME_bf16, the same in float32
arithmetic with all weights rounded to bfloat16.
"""

import json
import pathlib
import sys
import tempfile

import torch
import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file

from make_family_fixture import rounded, rows_of
from recording import forward, free_generation, greedy, random_prompt
from reference import class_of, load
from seeded_weights import recipe_weights

ROOT = pathlib.Path(__file__).parents[2] / "test/fixtures"
SEED = 1
TOKENS = 40
NEW_TOKENS = 6
EVERYTHING = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
# By case, what the second adapter is of: some projections of one layer, with another rank and scale.
CASES = {"glm4-bias": ["q_proj", "v_proj", "down_proj"], "gpt2": ["c_attn"], "phi3": ["qkv_proj"]}


def adapted(folder, raw, options):
    model = free_generation(load(folder, class_of(raw), "f32"))
    config = LoraConfig(lora_dropout=0.0, task_type="CAUSAL_LM", **options)
    peft_model = get_peft_model(model, config).eval()
    shapes = {name: list(tensor.shape) for name, tensor in get_peft_model_state_dict(peft_model).items()}
    recipe = {"seed": SEED, "dtype": "float32",
              "tensors": {name: {"shape": shape, "mean": 0.0, "std": 0.1} for name, shape in sorted(shapes.items())}}
    weights = {name: torch.from_numpy(value) for name, value in recipe_weights(recipe).items()}
    missing = set_peft_model_state_dict(peft_model, weights)
    assert not missing.unexpected_keys, missing.unexpected_keys
    with tempfile.TemporaryDirectory() as saved:
        peft_model.save_pretrained(saved)
        config = json.loads((pathlib.Path(saved) / "adapter_config.json").read_text())
    return peft_model, {"config": config, "weights": recipe}


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    (ROOT / "lora").mkdir(exist_ok=True)
    for case in sys.argv[1:] or CASES:
        own = ROOT / "families" / case
        raw = json.loads((own / "config.json").read_text())
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            (folder / "config.json").write_text(json.dumps(raw))
            base = recipe_weights(json.loads((own / "weights.json").read_text()))
            save_file({name: torch.from_numpy(value) for name, value in base.items()}, folder / "model.safetensors",
                      metadata={"format": "pt"})
            ids = random_prompt(TOKENS, raw["vocab_size"])
            rows = rows_of(TOKENS)
            logits = {"": forward(load(folder, class_of(raw), "f32"), ids)[rows].contiguous()}
            adapters = {}
            some = {"r": 6, "lora_alpha": 3, "use_rslora": True, "target_modules": CASES[case], "layers_to_transform": [1]}
            for name, options in {"everything": EVERYTHING, "some": some}.items():
                model, adapter = adapted(folder, raw, options)
                logits[name] = forward(model, ids)[rows].contiguous()
                found, margins = greedy(model, ids, NEW_TOKENS)
                logits[f"{name}_bf16"] = forward(rounded(model), ids)[rows].contiguous()
                adapters[name] = {**adapter, "greedy": found.tolist()}
                change = (logits[name] - logits[""]).abs().max().item()
                print(f"{case} {name}: logits change by up to {change:.2g}, smallest margin {margins.min().item():.2g}")
        text = {"tokens": ids.tolist(), "rows": rows.tolist(), "adapters": adapters}
        (ROOT / "lora" / f"{case}.json").write_text(json.dumps(text) + "\n")
        file = ROOT / "lora" / f"{case}.safetensors"
        save_file(logits, file, metadata={"peft": "0.19.1"})
        file.chmod(0o644)


if __name__ == "__main__":
    main()
