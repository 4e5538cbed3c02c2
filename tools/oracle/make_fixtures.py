#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the model oracle: tiny random checkpoints and what Hugging Face transformers computes with them.

The references must be able to fail, so the script asserts that logits are spread out, that attention is not
uniform, that every bias and norm weight matters, that every rope variant really changes the logits, and that
greedy choices in float32 are not near ties.  See README.md for the layout of the files.
"""

import argparse
import copy
import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from recording import DTYPES, forward, free_generation, greedy, random_prompt
from weight_scales import is_embedding, is_norm, mean_and_std

VOCAB = 131
HIDDEN = 64
INTERMEDIATE = 112
LAYERS = 3
EOS = 2
NEW_TOKENS = 32
WINDOW_MISTRAL = 24
WINDOW_QWEN2 = 20
ORIGINAL_CONTEXT = 64
MIN_MARGIN_F32 = 1e-3
# Greedy texts of random models repeat themselves; these many tokens of 32 still tell them apart.
MIN_DISTINCT = 3
# Between 16-bit and exact arithmetic on the same weights, at every position: an engine that rounds elsewhere is as far
# off again, and must still agree to 0.9995.
MIN_COSINE = 0.9997

BASE = {
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "intermediate_size": INTERMEDIATE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": EOS,
    "rms_norm_eps": 1e-5,
}

# name -> (seed, stored dtype, shard size, config)
FAMILIES = {
    "llama": (11, "float32", None, dict(model_type="llama", attention_bias=True, mlp_bias=True, head_dim=16,
                                        tie_word_embeddings=False, rope_theta=10000.0)),
    "llama-tied": (1, "bfloat16", "120KB", dict(model_type="llama", num_key_value_heads=4, num_hidden_layers=2,
                                                 tie_word_embeddings=True, rope_theta=500000.0)),
    "mistral": (11, "float32", None, dict(model_type="mistral", head_dim=32, sliding_window=WINDOW_MISTRAL,
                                          tie_word_embeddings=False, rope_theta=10000.0)),
    "mistral-f16": (11, "float16", None, dict(model_type="mistral", head_dim=32, sliding_window=None,
                                              tie_word_embeddings=False, rope_theta=1000000.0)),
    "qwen2": (1, "float32", None, dict(model_type="qwen2", use_sliding_window=True, sliding_window=WINDOW_QWEN2,
                                        max_window_layers=1, tie_word_embeddings=True, rope_theta=1000000.0,
                                        rms_norm_eps=1e-6)),
    "qwen3": (13, "float32", None, dict(model_type="qwen3", head_dim=32, tie_word_embeddings=False,
                                        rope_theta=1000000.0, rms_norm_eps=1e-6)),
}

SHORT = [1.0, 1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0]
LONG = [1.0, 1.3, 1.9, 2.6, 3.5, 5.0, 7.0, 9.0]


def scaling(max_positions, **kw):
    """The classic public form (rope_theta + rope_scaling); rope_parameters is removed so it cannot win."""
    return {"rope_parameters": None, "max_position_embeddings": max_positions, "rope_theta": 10000.0,
            "rope_scaling": kw}


ROPE_CASES = [
    # name, config override, prompt lengths, note
    ("llama-linear-f32", scaling(64, type="linear", factor=4.0), [17, 150],
     "frequencies / factor; key spelt 'type' as in old checkpoints"),
    ("llama-dynamic-f32", scaling(64, rope_type="dynamic", factor=4.0), [17, 150, 64, 65], "dynamic"),
    ("llama-llama3-f32", scaling(256, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                 original_max_position_embeddings=ORIGINAL_CONTEXT), [17, 150],
     "all three bands (kept, interpolated, divided) are populated"),
    ("llama-yarn-f32", scaling(64, type="yarn", factor=4.0, original_max_position_embeddings=ORIGINAL_CONTEXT),
     [17, 150], "Qwen-style: max_position_embeddings is the original context; beta_fast 32, beta_slow 1 and "
     "attention factor 0.1*ln(factor)+1 by default"),
    ("llama-yarn-mscale-f32", scaling(256, rope_type="yarn", factor=4.0, mscale=1.0, mscale_all_dim=0.5,
                                      beta_fast=16, beta_slow=2,
                                      original_max_position_embeddings=ORIGINAL_CONTEXT),
     [17, 150], "DeepSeek-style mscale / mscale_all_dim ratio"),
    ("llama-yarn-attention-factor-f32", scaling(256, rope_type="yarn", factor=4.0, attention_factor=1.3,
                                                beta_fast=8, beta_slow=1,
                                                original_max_position_embeddings=ORIGINAL_CONTEXT),
     [17, 150], "attention_factor multiplies cos and sin"),
    ("llama-yarn-no-truncate-f32", scaling(256, rope_type="yarn", factor=4.0, truncate=False, beta_fast=4,
                                           beta_slow=1, original_max_position_embeddings=ORIGINAL_CONTEXT),
     [17, 150], "truncate=false keeps the ramp bounds fractional"),
    ("llama-longrope-f32", scaling(256, rope_type="longrope", short_factor=SHORT, long_factor=LONG,
                                   original_max_position_embeddings=ORIGINAL_CONTEXT),
     [17, 150, 64, 65], "longrope"),
    ("llama-longrope-attention-factor-f32",
     scaling(256, rope_type="longrope", short_factor=SHORT, long_factor=LONG, attention_factor=1.05, factor=4.0,
             original_max_position_embeddings=ORIGINAL_CONTEXT),
     [17, 150], "explicit attention_factor"),
]

# Same numbers as another case, read from another spelling of the configuration.
ALIASES = [
    ("llama-linear-v5-f32", "llama-linear-f32",
     {"max_position_embeddings": 64,
      "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}},
     "transformers 5 spelling (rope_parameters)"),
    ("llama-longrope-top-level-f32", "llama-longrope-f32",
     dict(scaling(256, rope_type="longrope", short_factor=SHORT, long_factor=LONG),
          original_max_position_embeddings=ORIGINAL_CONTEXT),
     "Phi-3 spelling: original_max_position_embeddings beside max_position_embeddings"),
    ("llama-classic-f32", "llama-f32",
     {"rope_parameters": None, "dtype": None, "rope_theta": 10000.0, "rope_scaling": None,
      "torch_dtype": "float32"},
     "transformers 4 spelling of the plain model"),
]


def fill(model, seed):
    """Random weights large enough that every part of the network matters."""
    gen = torch.Generator().manual_seed(seed)
    # A tied output would repeat its input for ever: signs in the last norm part the two.
    tied = model.config.tie_word_embeddings

    for name, p in model.named_parameters():
        mean, std = mean_and_std(name, p.shape, tied)
        value = mean + torch.randn(p.shape, generator=gen) * std
        if tied and name == "model.norm.weight":
            value *= torch.randint(0, 2, value.shape, generator=gen) * 2 - 1
        if "lm_head" in name or (is_embedding(name) and tied):
            value[EOS] *= 0.25  # the end token must never win, so 32 tokens always come out
        p.data.copy_(value)


def check_weights(name, model):
    for key, p in model.named_parameters():
        p = p.float()
        assert p.std() > 0.01, (name, key)
        if is_norm(key, p.ndim):
            assert (p - 1).abs().mean() > 0.1, (name, key)
        if key.endswith(".bias"):
            assert (p != 0).all(), (name, key)


def load(path, override, dtype):
    raw = json.loads((path / "config.json").read_text())
    raw.update(copy.deepcopy(override))
    raw = {k: v for k, v in raw.items() if v is not None or k == "sliding_window"}
    config = AutoConfig.for_model(raw.pop("model_type"), **raw)
    model = AutoModelForCausalLM.from_pretrained(path, config=config, dtype=dtype, attn_implementation="eager")
    return free_generation(model)


def prompt(length):
    return random_prompt(length, VOCAB)


@torch.no_grad()
def greedy_batch(model, prompts):
    width = max(map(len, prompts))
    ids = torch.zeros(len(prompts), width, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, p in enumerate(prompts):
        ids[row, width - len(p):] = p
        mask[row, width - len(p):] = 1
    out = model.generate(ids, attention_mask=mask, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS,
                         do_sample=False)
    return out[:, width:]


@torch.no_grad()
def score_std(model, ids):
    """Standard deviation over the keys of log attention (score minus a constant of the row), per layer."""
    out = model(ids[None], output_attentions=True, use_cache=False)
    stds = []
    for attention in out.attentions:
        row = attention[0, :, -1].float()
        stds.append(torch.stack([r[r > 0].log().std() for r in row]).mean().item())
    return stds


def base_config(settings):
    settings = {**BASE, **settings}
    theta = settings.pop("rope_theta")
    return AutoConfig.for_model(settings.pop("model_type"), rope_parameters={"rope_type": "default",
                                                                            "rope_theta": theta}, **settings)


def write_checkpoints(out):
    for name, (seed, stored, shard, settings) in FAMILIES.items():
        model = AutoModelForCausalLM.from_config(base_config(settings), attn_implementation="eager")
        fill(model, seed)
        check_weights(name, model)
        model = model.to(DTYPES[stored])
        model.config.dtype = DTYPES[stored]
        path = out / name
        shutil.rmtree(path, ignore_errors=True)
        model.save_pretrained(path, **({"max_shard_size": shard} if shard else {}))
        (path / "generation_config.json").unlink(missing_ok=True)
        if "head_dim" not in settings:  # as older checkpoints: hidden_size / num_attention_heads is implied
            config = json.loads((path / "config.json").read_text())
            config.pop("head_dim", None)
            (path / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        size = sum(f.stat().st_size for f in path.iterdir())
        print(f"{name}: {size} bytes in {sorted(f.name for f in path.iterdir())}")


def summary(diff):
    return {"max": float(f"{diff.abs().max().item():.3g}"), "rms": float(f"{diff.pow(2).mean().sqrt().item():.3g}")}


def run_case(out, name, model_dir, override, dtype, lengths, note, plain=None):
    model = load(out / model_dir, override, DTYPES[dtype])
    check_weights(name, model)
    rope_type = model.config.rope_parameters["rope_type"]
    moving = rope_type in ("dynamic", "longrope")
    exact = None
    if dtype != "float32":
        exact = load(out / model_dir, override, DTYPES[dtype]).float()  # same rounded weights, exact arithmetic
    tensors, info, diffs = {}, [], []
    prompts = [prompt(n) for n in lengths]
    for i, ids in enumerate(prompts):
        model = load(out / model_dir, override, DTYPES[dtype])  # dynamic rope keeps state between calls
        logits = forward(model, ids)
        assert logits.std(-1).mean() >= 1, (name, logits.std())
        model = load(out / model_dir, override, DTYPES[dtype])
        tokens, margin = greedy(model, ids, NEW_TOKENS)
        assert EOS not in tokens and tokens.unique().numel() >= MIN_DISTINCT, (name, len(ids), tokens)
        entry = {"length": len(ids), "greedy_comparable": True, "min_margin": float(f"{margin.min().item():.3g}")}
        if dtype == "float32":
            model = load(out / model_dir, override, DTYPES[dtype])
            uncached, _ = greedy(model, ids, NEW_TOKENS, use_cache=False)
            same = torch.equal(tokens, uncached)
            entry["cached_equals_uncached"] = same
            crosses = len(ids) <= ORIGINAL_CONTEXT < len(ids) + NEW_TOKENS
            if rope_type == "dynamic":
                entry["greedy_comparable"] = len(ids) + NEW_TOKENS <= ORIGINAL_CONTEXT
            elif rope_type == "longrope":
                entry["greedy_comparable"] = not crosses
            if entry["greedy_comparable"]:
                assert same, (name, len(ids))
                assert margin.min() > MIN_MARGIN_F32, (name, len(ids), margin.min())
            if not moving:
                # whole-sequence forward gives the same tokens, too
                full = forward(load(out / model_dir, override, DTYPES[dtype]), torch.cat([ids, tokens]))
                assert torch.equal(full[len(ids) - 1:-1].argmax(-1), tokens), name
        else:
            wanted = forward(exact, ids)
            diffs.append(logits - wanted)
            cosine = torch.nn.functional.cosine_similarity(logits, wanted, dim=-1).min()
            assert cosine >= MIN_COSINE, (name, len(ids), cosine)
        if plain is not None:
            delta = (logits - forward(plain, ids)).abs().max().item()
            active = rope_type != "dynamic" or len(ids) > ORIGINAL_CONTEXT
            assert (delta > 0.1) == active, (name, len(ids), delta)
            entry["max_difference_from_plain"] = float(f"{delta:.3g}")
        tensors[f"prompt.{i}"] = ids.to(torch.int32)
        tensors[f"logits.{i}"] = logits.contiguous()
        tensors[f"greedy.{i}"] = tokens.to(torch.int32)
        tensors[f"greedy_margin.{i}"] = margin.contiguous()
        info.append(entry)
    if dtype == "float32" and not moving:
        model = load(out / model_dir, override, DTYPES[dtype])
        rows = greedy_batch(model, prompts)
        for i in range(len(prompts)):
            assert torch.equal(rows[i].to(torch.int32), tensors[f"greedy.{i}"]), (name, "batched", i)
    stds = score_std(model, prompt(17))
    assert min(stds) >= 0.9, (name, stds)
    reference = f"{name}.safetensors"
    save_file(tensors, out / reference)
    case = {"name": name, "model": model_dir, "config": override, "dtype": dtype, "reference": reference,
            "prompts": info, "logits_std": float(f"{tensors['logits.1'].std().item():.3g}"),
            "score_std": [float(f"{s:.3g}") for s in stds]}
    if diffs:
        case["rounding"] = summary(torch.cat(diffs))
        case["note"] = ("rounding: difference between these logits and float32 arithmetic on the same rounded "
                        "weights; compare a greedy token only where its margin is well above it")
    if note:
        case["note"] = note
    print(f"{name}: {(out / reference).stat().st_size} bytes, logits std {case['logits_std']}, "
          f"scores {case['score_std']}, margins {[p['min_margin'] for p in info]}, "
          f"{case.get('rounding', '')} {[p.get('max_difference_from_plain') for p in info if plain is not None]}"
          f" {[p.get('cached_equals_uncached') for p in info]}", flush=True)
    return case


NOTES = {
    "dynamic": "frequencies depend on the length of the sequence: one forward over the prompt uses "
               "max(len, max_position_embeddings) for every position. Prompts of 64 tokens are plain, 65 are scaled. "
               "With a cache transformers recomputes the frequencies each step and leaves old keys as they were, so "
               "past the original context greedy.<i> (cached generate) is not what an uncached run gives: "
               "greedy_comparable is false there",
    "longrope": "short_factor while the sequence (prompt + generated) is at most original_max_position_embeddings "
                "long, else long_factor for every position; attention factor sqrt(1+ln(f)/ln(original)), f = "
                "max_position_embeddings/original. Prompts of 64 tokens are short, 65 long. Greedy that crosses the "
                "boundary mixes both in the cache: greedy_comparable is false there",
}


def check_windows(out):
    """Sliding windows: W keys with the query's own; a window one wider, or on other layers, must be seen."""
    ids = prompt(40)
    for name, window, others in (
        ("mistral", WINDOW_MISTRAL, [{"sliding_window": None}, {"sliding_window": WINDOW_MISTRAL + 1}]),
        ("qwen2", WINDOW_QWEN2, [{"sliding_window": WINDOW_QWEN2 + 1},
                                 {"layer_types": None, "max_window_layers": 0},
                                 {"layer_types": None, "max_window_layers": 2},
                                 {"layer_types": None, "use_sliding_window": False}]),
    ):
        reference = forward(load(out / name, {}, torch.float32), ids)
        for override in others:
            other = forward(load(out / name, override, torch.float32), ids)
            first = window  # the first query that cannot see key 0
            assert (reference - other)[:first].abs().max() < 1e-5, (name, override)
            assert (reference - other)[first:].abs().max() > 1e-2, (name, override)


def main():
    parser = argparse.ArgumentParser()
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=pathlib.Path, default=root / "test/fixtures/oracle")
    args = parser.parse_args()
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

    write_checkpoints(out)
    check_windows(out)
    lengths = [1, 5, 17, 40, 150]
    cases = []
    for name, (_, stored, _, _) in FAMILIES.items():
        for dtype, short in (("float32", "f32"), ("bfloat16", "bf16"), ("float16", "f16")):
            if dtype == "float16" and stored != "float16":
                continue
            cases.append(run_case(out, f"{name}-{short}", name, {}, dtype, lengths, None))
    plain = load(out / "llama", {}, torch.float32)
    for name, override, prompt_lengths, note in ROPE_CASES:
        cases.append(run_case(out, name, "llama", override, "float32", prompt_lengths, NOTES.get(note, note), plain))
    by_name = {c["name"]: c for c in cases}
    for name, target, override, note in ALIASES:
        case = {**by_name[target], "name": name, "config": override, "note": f"same as {target}: {note}"}
        a = load(out / case["model"], override, torch.float32)
        b = load(out / case["model"], by_name[target]["config"], torch.float32)
        for n in (17, 150):
            assert torch.equal(forward(a, prompt(n)), forward(b, prompt(n))), name
        cases.append(case)
    header = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
              "new_tokens": NEW_TOKENS, "cases": cases}
    (out / "cases.json").write_text(json.dumps(header, indent=1) + "\n")
    total = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    print(f"{len(cases)} cases, {total} bytes in all")
    assert total <= 6 * 1000 * 1000


if __name__ == "__main__":
    main()
