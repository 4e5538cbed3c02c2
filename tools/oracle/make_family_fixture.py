#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a case of test/fixtures/families of a config.json: what transformers computes with a small random checkpoint of it.

    make_family_fixture.py CONFIG OUT                      # CONFIG: a config.json, published or small already
    make_family_fixture.py CONFIG OUT --set use_qk_norm=true --set rope_scaling=null --set head_dim=
    make_family_fixture.py OUT/config.json OUT             # records the case anew
    make_family_fixture.py CONFIG OUT --without e_score_correction_bias       # a tensor that published axk1 does not have
    make_family_fixture.py CONFIG OUT --as qwen2           # mimo, which transformers does not have, is a qwen2
    make_family_fixture.py CONFIG OUT --attention sdpa     # falcon with ALiBi, which the eager class of 5.24 adds twice

Families of remote code whose tensors have other names or packings than any class of transformers are computed by a class
that is told where each of them stands (remote_families.py); their CONFIG must be small already.

--set puts a value (JSON) in the place of the file's before it is made small, or without a value removes the key. OUT gets

    config.json              the small configuration (tiny_config.py)
    weights.json             the recipe of its weights (seeded_weights.py), float32
    reference.safetensors    for each prompt i of PROMPTS
        i/tokens         int64 [T]     random ids
        i/rows           int64 [R]     the positions whose logits follow: at most ROWS, first and last among them
        i/logits         f32 [R, vocab]
        i/logits_bf16    f32 [R, vocab]  the same in float32 arithmetic with all weights rounded to bfloat16
        i/experts        i8 [L, T, k]  with experts: those that each router of each layer chose
        i/experts_bf16   i8 [L, T, k]  the same with the rounded weights
        i/keys           u8 [L, T, (T + 7) // 8]  with sparse attention: those that each indexer chose of the keys up to
                                       a query's own; key j is bit j % 8 of byte j // 8. Where each head of an indexer
                                       chooses blocks, these, and L counts heads
        i/keys_bf16      u8 [L, T, (T + 7) // 8]  the same with the rounded weights
        i/greedy         int64 [N]     the continuation
        i/greedy_margin  f32 [N]       best minus second best logit of each of its tokens

The prompts are within one block and window, across them, and beyond the original context of a scaled rotary embedding.
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors.torch import load_file, save_file

from recording import forward, free_generation, greedy, random_prompt
from reference import check, class_of, load
from remote_families import FAMILIES
from swiglu_limits import has_limits, put_limits
from tiny_checkpoint import write_stand_in, write_tiny
from tiny_config import config_of, shrink

PROMPTS = (3, 40, 70)
ROWS = 12
NEW_TOKENS = 8
SEED = 1
LARGEST = 50_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--as", dest="stand_in", metavar="MODEL_TYPE",
                        help="a class of transformers that computes the same, for a model_type that it does not have")
    parser.add_argument("--attention", default="eager", help="implementation of attention in transformers")
    parser.add_argument("--without", action="append", default=[], metavar="NAME",
                        help="end of the names of tensors that published files lack and transformers does not miss")
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


@torch.no_grad()
def nudged(model):
    """With weights that are off by a few roundings of float32."""
    generator = torch.Generator().manual_seed(SEED)
    for parameter in model.parameters():
        parameter.mul_(1 + 1e-6 * torch.randn(parameter.shape, generator=generator))
    return model


def chosen_experts(model, ids):
    """What routers chose [routers, tokens, chosen], which transformers hands to the modules that hold the experts. Those
    of Llama 4 are handed weighted tokens, and those of JetMoE sorted ones, so that their routers are asked for the highest
    of their logits."""
    found, hooks = [], []
    for name, module in model.named_modules():
        if type(module).__name__ == "Llama4Router":
            hooks.append(module.register_forward_hook(
                lambda router, _, out: found.append(out[1].topk(router.top_k, dim=1).indices.to(torch.int8))))
        elif type(module).__name__ == "JetMoeTopKGating":
            hooks.append(module.register_forward_hook(
                lambda router, _, out: found.append(out[4].topk(router.top_k, dim=1).indices.to(torch.int8))))
        elif name.endswith(".experts") and "llama4" not in model.config.model_type:
            hooks.append(module.register_forward_pre_hook(lambda _, args: found.append(args[1].to(torch.int8))))
    forward(model, ids)
    for hook in hooks:
        hook.remove()
    return torch.stack(found) if found else None


def chosen_keys(model, ids):
    """Which keys up to its own each query attends to, in bits [indexers, tokens, bytes]; None without indexers."""
    found, hooks = [], []
    for name, module in model.named_modules():
        # That of qwen4_exp chooses all keys up to a length, and none of these prompts is longer.
        if name.endswith(".indexer") and "qwen4_exp" not in model.config.model_type:
            # Of minimax_m3_vl there are those of each head.
            hooks.append(module.register_forward_hook(
                lambda _, args, indices: found.extend(indices[0].long().unflatten(0, (-1, len(ids))))
                if indices.dim() == 3 else found.extend(indices[0].long())))
    forward(model, ids)
    for hook in hooks:
        hook.remove()
    if not found:
        return None
    places = torch.zeros(len(found), len(ids), (len(ids) + 7) // 8 * 8, dtype=torch.long)
    chosen = torch.stack(found)
    # deepseek_v4 names -1 where there are fewer.
    places.scatter_reduce_(2, chosen.clamp(min=0), (chosen >= 0).long(), "amax")
    # Where a query sees fewer keys than it may choose, transformers names some that it does not see, too.
    places[:, :, :len(ids)] *= torch.ones(len(ids), len(ids), dtype=torch.long).tril()
    return (places.view(len(found), len(ids), -1, 8) << torch.arange(8)).sum(-1).to(torch.uint8)


def record(fresh, ids):
    """fresh: loads the model. Each time anew: some rotary embeddings remember the longest sequence that they saw."""
    keys = chosen_keys(fresh(), ids)
    if keys is not None and not torch.equal(keys, chosen_keys(nudged(fresh()), ids)):
        raise SystemExit("choices of keys hang on rounding: change the configuration a little, until none does")
    rows = rows_of(len(ids))
    tokens, margins = greedy(fresh(), ids, NEW_TOKENS)
    found = {"tokens": ids, "rows": rows, "experts": chosen_experts(fresh(), ids),
             "experts_bf16": chosen_experts(rounded(fresh()), ids), "keys": keys,
             "keys_bf16": chosen_keys(rounded(fresh()), ids), "logits": forward(fresh(), ids)[rows],
             "logits_bf16": forward(rounded(fresh()), ids)[rows], "greedy": tokens, "greedy_margin": margins}
    return {name: value for name, value in found.items() if value is not None}


def main():
    args = arguments()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    raw = changed(json.loads(args.config.read_text()), args.set)
    model_type = raw["model_type"]
    if args.stand_in:
        raw |= {"model_type": args.stand_in}
    if model_type in FAMILIES:
        # Shrunk by hand: nobody else knows what such a file means.
        stand_in, text = FAMILIES[model_type](raw), raw.get("text_config", raw)
        vocab = text.get("padded_vocab_size", text.get("vocab_size"))
        write_stand_in(raw, stand_in, args.out, SEED)
        computed_by = stand_in.name
        fresh = lambda: free_generation(stand_in.model(load_file(args.out / "model.safetensors")))
    else:
        raw, changes = shrink(raw)
        print("\n".join(changes))
        config, model_class = config_of(raw), class_of(raw)
        write_tiny(raw, config, model_class, args.out, SEED, "float32", args.without)
        computed_by, vocab = raw["model_type"], config.get_text_config().vocab_size
        computed_by += " with limits of SwiGLU" if has_limits(raw) else ""
        fresh = lambda: put_limits(load(args.out, model_class, "f32", args.attention), raw)
    tensors = {}
    for i, length in enumerate(PROMPTS):
        found = record(fresh, random_prompt(length, vocab))
        tensors.update({f"{i}/{name}": value.contiguous() for name, value in found.items()})
    check(tensors)
    (args.out / "model.safetensors").unlink()
    if args.stand_in:
        config_file = args.out / "config.json"
        config_file.write_text(config_file.read_text().replace(f'"model_type": "{args.stand_in}"',
                                                               f'"model_type": "{model_type}"'))
    file = args.out / "reference.safetensors"
    save_file(tensors, file, metadata={"transformers": transformers.__version__, "model_type": computed_by,
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
