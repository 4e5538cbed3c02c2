#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a case of test/fixtures/families of a config.json: what transformers computes with a small random checkpoint of it.

    make_family_fixture.py CONFIG OUT                      # CONFIG: a config.json, published or small already
    make_family_fixture.py CONFIG OUT --set use_qk_norm=true --set rope_scaling=null --set head_dim=
    make_family_fixture.py OUT/config.json OUT             # records the case anew
    make_family_fixture.py CONFIG OUT --as qwen2           # mimo, which transformers does not have, is a qwen2

--set puts a value (JSON) in the place of the file's before it is made small, or without a value removes the key. OUT gets

    config.json              the small configuration (tiny_config.py)
    weights.json             the recipe of its weights (seeded_weights.py), float32
    reference.safetensors    for each prompt i of PROMPTS
        i/tokens         int64 [T]     random ids
        i/rows           int64 [R]     the positions whose logits follow: at most ROWS, first and last among them
        i/logits         f32 [R, vocab]
        i/logits_bf16    f32 [R, vocab]  the same in float32 arithmetic with all weights rounded to bfloat16
        i/greedy         int64 [N]     the continuation
        i/greedy_margin  f32 [N]       best minus second best logit of each of its tokens

The prompts are within one block and window, across them, and beyond the original context of a scaled rotary embedding.
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file

from recording import forward, greedy, random_prompt
from reference import check, class_of, load
from tiny_checkpoint import write_tiny
from tiny_config import config_of, shrink

PROMPTS = (3, 40, 70)
ROWS = 12
NEW_TOKENS = 8
SEED = 1
LARGEST = 40_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--as", dest="stand_in", metavar="MODEL_TYPE",
                        help="a class of transformers that computes the same, for a model_type that it does not have")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON")
    return parser.parse_args()


def changed(raw, changes):
    for change in changes:
        key, _, value = change.partition("=")
        raw.pop(key, None)
        if value:
            raw[key] = json.loads(value)
    return raw


def rows_of(tokens):
    """Positions spread over a prompt, first and last among them."""
    return torch.linspace(0, tokens - 1, min(tokens, ROWS)).round().long()


@torch.no_grad()
def rounded(model):
    for parameter in model.parameters():
        parameter.copy_(parameter.bfloat16().float())
    return model


def record(folder, model_class, ids):
    rows = rows_of(len(ids))
    # Loaded anew each time: some rotary embeddings remember the longest sequence that they saw.
    fresh = lambda: load(folder, model_class, "f32")
    tokens, margins = greedy(fresh(), ids, NEW_TOKENS)
    return {"tokens": ids, "rows": rows, "logits": forward(fresh(), ids)[rows],
            "logits_bf16": forward(rounded(fresh()), ids)[rows], "greedy": tokens, "greedy_margin": margins}


def main():
    args = arguments()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    raw = changed(json.loads(args.config.read_text()), args.set)
    model_type = raw["model_type"]
    if args.stand_in:
        raw |= {"model_type": args.stand_in}
    raw, changes = shrink(raw)
    print("\n".join(changes))
    config, model_class = config_of(raw), class_of(raw)
    write_tiny(raw, config, model_class, args.out, SEED, "float32")
    tensors = {}
    for i, length in enumerate(PROMPTS):
        found = record(args.out, model_class, random_prompt(length, config.vocab_size))
        tensors.update({f"{i}/{name}": value.contiguous() for name, value in found.items()})
    check(tensors)
    (args.out / "model.safetensors").unlink()
    if args.stand_in:
        config_file = args.out / "config.json"
        config_file.write_text(config_file.read_text().replace(f'"model_type": "{args.stand_in}"',
                                                               f'"model_type": "{model_type}"'))
    file = args.out / "reference.safetensors"
    save_file(tensors, file, metadata={"transformers": transformers.__version__, "model_type": raw["model_type"],
                                       "torch": torch.__version__.split("+")[0]})
    file.chmod(0o644)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    std = torch.cat([value for name, value in tensors.items() if name.endswith("logits")]).std().item()
    margin = min(value.min().item() for name, value in tensors.items() if name.endswith("margin"))
    print(f"{args.out}: {size} bytes, std of logits {std:.2f}, smallest margin {margin:.2g}")
    if size > LARGEST:
        raise SystemExit(f"larger than {LARGEST} bytes")


if __name__ == "__main__":
    main()
