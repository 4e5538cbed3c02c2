# SPDX-License-Identifier: Apache-2.0
"""Writes a random checkpoint of a configuration: config.json, model.safetensors, and weights.json, the recipe of its
weights, from which test/oracle/seeded-weights.ts makes the same bits.

Names and shapes are those that transformers saves, which are those of published checkpoints.  A norm's weights lie
around the value that transformers begins with: around 0 where the model multiplies by 1 + weight.
"""

import json
import pathlib
import re
import tempfile

import torch
from safetensors.torch import load_file, save_file

from recording import DTYPES, conv1d_weights, random_prompt
from seeded_weights import recipe_weights
from weight_scales import QK_NORM, is_norm, mean_and_std

# Far above 1, where the check begins, and far below the softcaps of gemma2 (30).
LOGITS_STD = 2.0
CALIBRATION_TOKENS = 17
HEADS = ("lm_head.weight", "embed_out.weight")
# Decay rates of linear attention: exp of it must stay moderate.
DECAY = "A_log"
# Buffers that follow from the configuration: minimax and qwen4_exp write them, and make them where they are missing. Of norms
# over batches how many these were, which nothing reads; frequencies of esm.
DERIVED = ("num_batches_tracked", "rotary_embeddings.inv_freq",
           "slope_rate", "query_decay", "key_decay", "diagonal_decay",
           "layer_multipliers", "ngram_heads_vocab_sizes", "ngram_heads_offsets", "summary_idxs")
# A table of sines and cosines by which roformer turns.
SINES = "encoder.embed_positions.weight"
# Steps of Mamba's mixers, of which softplus is taken, are small, so that states remember.
STEP_BIAS = ("dt_proj.bias", "dt_proj_bias")
# The softplus of these is what a gated recurrence forgets by: those of trained ones are small, so that states remember.
FORGETTING = "recurrent_param"

# What transformers reads under the names of published files and writes under others, by model_type.
PUBLISHED = {
    "hy_v4": [(r"\.hc_pre\.(hc_attn_layer|hc_mlp_layer)\.", r".\1.hc_pre."), (r"\.hc_pre\.hc_head\.", ".hc_head."),
              (r"\.mlp\.(shared_experts\.)?linear_gate\.", r".mlp.\1gate_proj.")],
}


def rounded(x):
    """Four digits: what is in the recipe is what was used."""
    return float(f"{x:.4g}")


def saved(model, folder):
    """Tensors by their names on disk."""
    model.save_pretrained(folder, max_shard_size="100GB")
    tensors = load_file(pathlib.Path(folder) / "model.safetensors")
    for pattern, name in PUBLISHED.get(model.config.model_type, ()):
        tensors = {re.sub(pattern, name, k): v for k, v in tensors.items()}
    return tensors


def final_norm(model, names):
    """Disk name of the weight of the norm that runs last, or None."""
    order, handles = [], []
    for path, module in model.named_modules():
        own = [name for name, p in module.named_parameters(recurse=False) if is_norm(f"{path}.{name}", p.ndim)]
        if own:
            handles.append(module.register_forward_hook(lambda *_, path=path: order.append(path)))
    with torch.no_grad():
        model(random_prompt(CALIBRATION_TOKENS, model.config.get_text_config().vocab_size)[None])
    for handle in handles:
        handle.remove()
    # Names on disk may lack the first part of the path, or have one more.
    return next((name for path in reversed(order) for name in names
                 if f"{path}.weight".endswith(name) or name.endswith(f"{path}.weight")), None)


def draw(tensors, model, tied):
    """Mean and standard deviation of each tensor."""
    transposed = conv1d_weights(model)
    out = {}
    for name, tensor in tensors.items():
        if name.endswith(DERIVED):
            continue
        if model.config.model_type == "roformer" and name.endswith(SINES):
            # Kept as the class makes it: nobody trains it.
            continue
        fan_in = tensor.shape[0] if any(w.endswith(name) or name.endswith(w) for w in transposed) else None
        # Stacked experts of gpt_oss are [expert, in, out].
        if tensor.ndim == 3 and name.endswith("_proj"):
            fan_in = tensor.shape[1]
        if tensor.ndim == 3 and "conv" in name:
            fan_in = tensor.shape[-1] * tensor.shape[1]
        if tensor.ndim == 0:
            # A number that no training changes: apertus's activation has them beside its weights.
            out[name] = {"shape": [], "mean": tensor.item(), "std": 0.0}
            continue
        if not tensor.is_floating_point():
            # The experts that deepseek_v4 gives each token of its first layers to.
            out[name] = {"shape": list(tensor.shape), "below": model.config.num_local_experts}
            continue
        norm_mean = 0.0 if is_norm(name, tensor.ndim) and tensor.float().abs().max() == 0 else 1.0
        mean, std = mean_and_std(name, tensor.shape, tied, fan_in, norm_mean)
        if QK_NORM.search(name) and any(getattr(m, "scaling", None) == 1.0 for m in model.modules()):
            # Scores that nothing divides by the root of a head's size: their norms do.
            mean, std = (number / tensor.shape[-1] ** 0.25 for number in (mean, std))
        if getattr(model.config, "normalization_type", None) == "no_norm" and is_norm(name, tensor.ndim):
            # A scale in place of a norm: sums of residuals must not grow from layer to layer.
            mean, std = mean / 2, std / 2
        if name.endswith(DECAY):
            mean, std = 0.5, 0.5
        if name.endswith(STEP_BIAS):
            mean, std = -3.0, 0.5
        if name.endswith(FORGETTING):
            mean, std = -4.0, 1.0
        out[name] = {"shape": list(tensor.shape), "mean": rounded(mean), "std": rounded(std)}
    return out


def put(recipe, model_class, folder, config, dtype, read_as=lambda name: name):
    """Writes the weights of a recipe, under the names that transformers reads, and loads them."""
    tensors = {read_as(k): torch.from_numpy(v) for k, v in recipe_weights(recipe).items()}
    tensors = {k: v.to(DTYPES[dtype]) if v.is_floating_point() else v for k, v in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    model, info = model_class.from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation="eager",
                                              output_loading_info=True)
    found = {k: [key for key in info.get(k, []) if not str(key).endswith((*DERIVED, SINES))]
             for k in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    bad = {k: sorted(keys) for k, keys in found.items() if keys}
    assert not bad, f"transformers does not read the checkpoint that it wrote: {bad}"
    return model.eval()


@torch.no_grad()
def logits_std(model):
    ids = random_prompt(CALIBRATION_TOKENS, model.config.get_text_config().vocab_size)
    out = model(ids[None])
    logits = getattr(out, "logits", None)
    # A classifier has one row of labels, which says nothing about a spread.
    return logits.float().std().item() if logits is not None and logits.ndim == 3 else None


def write_config(raw, folder, dtype):
    folder.mkdir(parents=True, exist_ok=True)
    raw = {k: v for k, v in raw.items() if k not in ("dtype", "torch_dtype")}
    raw["torch_dtype"] = dtype
    (folder / "config.json").write_text(json.dumps(raw, indent=2) + "\n")


def write_recipe(recipe, folder, make, head, last, stored_zero=False):
    """Settles the scales of a recipe and writes it.

    make: writes the weights of a recipe and returns their model.  head: the name of the head, None where it is the
    embedding; last: that of the last norm; stored_zero: its weights lie around 0.
    """
    tensors = recipe["tensors"]
    if head is None and last is not None:
        # A tied head would repeat its input for ever; weights of both signs part the two.
        tensors[last]["mean"] -= 1.0
        tensors[last]["std"] = 1.0
    # Logits are linear in the head, or in the last norm where the head is the embedding, up to a softcap.
    std, scaled = logits_std(make(recipe)), head or last
    if std is not None and scaled is not None and not 1.5 < std < 4.0:
        t, factor = tensors[scaled], LOGITS_STD / std
        zero = -1.0 if stored_zero and head is None else 0.0
        t["mean"] = rounded(zero + (t["mean"] - zero) * factor)
        t["std"] = rounded(t["std"] * factor)
        make(recipe)
    save_recipe(recipe, folder)


def save_recipe(recipe, folder):
    rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in recipe["tensors"].items())
    (folder / "weights.json").write_text(
        f'{{"seed": {recipe["seed"]}, "dtype": "{recipe["dtype"]}", "tensors": {{\n{rows}\n}}}}\n')


def write_tiny(raw, config, model_class, folder, seed, dtype, without=()):
    """raw: the content of config.json, config: the configuration that transformers makes of it. without: ends of names of
    tensors that published files lack and transformers does not miss."""
    write_config(raw, folder, dtype)
    torch.manual_seed(0)
    model = model_class.from_config(config, attn_implementation="eager").float().eval()
    with tempfile.TemporaryDirectory() as scratch:
        tensors = {k: v for k, v in saved(model, scratch).items() if not k.endswith(tuple(without))}
    head = next((k for k in tensors if k.endswith(HEADS)), None)
    tied = model.get_output_embeddings() is not None and head is None
    recipe = {"seed": seed, "dtype": dtype, "tensors": draw(tensors, model, tied)}
    last = final_norm(model, list(tensors)) if head is None else None
    stored_zero = last is not None and tensors[last].float().abs().max() == 0
    write_recipe(recipe, folder, lambda found: put(found, model_class, folder, config, dtype), head,
                 last if tied else None, stored_zero)


def write_stand_in(raw, stand_in, folder, seed):
    """The same of a family that transformers has under other names (remote_families.py), in float32."""
    write_config(raw, folder, "float32")
    begun = torch.zeros if stand_in.zero_norms else torch.ones
    tensors = {name: begun(shape) for name, (shape, _) in stand_in.tensors.items()}
    head = stand_in.head if stand_in.head in tensors else None
    recipe = {"seed": seed, "dtype": "float32", "tensors": draw(tensors, torch.nn.Module(), head is None)}
    last = next(name for name, (_, there) in stand_in.tensors.items() if "model.norm.weight" in there)

    def make(found):
        weights = {name: torch.from_numpy(value) for name, value in recipe_weights(found).items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return stand_in.model(weights)

    write_recipe(recipe, folder, make, head, last, stand_in.zero_norms)
