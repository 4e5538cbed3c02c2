#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a case of test/fixtures/encoders of a config.json: what transformers and sentence-transformers compute with a
small random checkpoint of it.

    make_encoder_fixture.py CONFIG OUT                      # CONFIG: a config.json, published or small already
    make_encoder_fixture.py CONFIG OUT --set type_vocab_size=0 --set id2label=
    make_encoder_fixture.py OUT/config.json OUT             # records the case anew

    make_encoder_fixture.py GTE OUT --written NEW           # `new`, which transformers does not have, computes as a gte

--set as in make_family_fixture.py; --written: the config.json that OUT gets in place of the one that transformers read.
OUT gets config.json and weights.json as there, and

    reference.safetensors    for each text i of TEXTS
        i/tokens      int64 [T]     random ids; one of them is that of padding, which counts as a token like any other
        i/types       int64 [T]     types of the tokens: 1 from the middle on, where the model knows two
        i/rows        int64 [R]     the tokens whose hidden states follow: at most ROWS, first and last among them
        i/hidden      f32 [R, hidden]
        i/hidden_bf16 f32 [R, hidden]  the same in float32 arithmetic with all weights rounded to bfloat16
        i/pooled      f32 [6 hidden]   sentence-transformers' vectors of the modes of MODES, one after another
        i/logits      f32 [labels]     of a classifier; of a causal language model those of the last token [vocab]
"""

import argparse
import json
import pathlib

import sentence_transformers
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers.sentence_transformer.modules import Pooling

from make_family_fixture import LARGEST, SEED, changed, rounded, rows_of
from recording import random_prompt
from reference import class_of, load
from tiny_checkpoint import write_tiny
from tiny_config import config_of, shrink

TEXTS = (1, 3, 40, 70)
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
PADDED = 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON")
    parser.add_argument("--written", type=pathlib.Path, metavar="CONFIG")
    return parser.parse_args()


def text_of(length, config):
    ids = random_prompt(length, config.vocab_size)
    if length > PADDED and config.pad_token_id is not None:
        ids[PADDED] = config.pad_token_id
    types = torch.zeros_like(ids)
    if (getattr(config, "type_vocab_size", 0) or 0) > 1:
        types[length // 2:] = 1
    return ids, types


@torch.no_grad()
def outputs(model, ids, types):
    """Hidden states [tokens, hidden], and logits or None."""
    known = {"token_type_ids": types[None]} if getattr(model.config, "type_vocab_size", 0) else {}
    cached = {"use_cache": False} if model.can_generate() else {}
    out = model(ids[None], attention_mask=torch.ones_like(ids[None]), output_hidden_states=True, **known, **cached)
    hidden = getattr(out, "last_hidden_state", None)
    if hidden is None:
        hidden = out.hidden_states[-1]
    logits = getattr(out, "logits", None)
    return hidden[0].float(), None if logits is None else logits[0].float()


def record(folder, model_class, ids, types):
    fresh = lambda: load(folder, model_class, "f32")
    hidden, logits = outputs(fresh(), ids, types)
    lower, _ = outputs(rounded(fresh()), ids, types)
    rows = rows_of(len(ids))
    pooling = Pooling(hidden.shape[-1], MODES)
    pooled = pooling({"token_embeddings": hidden[None], "attention_mask": torch.ones(1, len(ids), dtype=torch.long)})
    found = {"tokens": ids, "types": types, "rows": rows, "hidden": hidden[rows], "hidden_bf16": lower[rows],
             "pooled": pooled["sentence_embedding"][0]}
    if logits is not None:
        found["logits"] = logits if logits.ndim == 1 else logits[-1]
    return found


def main():
    args = arguments()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    raw, changes = shrink(changed(json.loads(args.config.read_text()), args.set))
    print("\n".join(changes))
    config, model_class = config_of(raw), class_of(raw)
    write_tiny(raw, config, model_class, args.out, SEED, "float32")
    tensors = {}
    for i, length in enumerate(TEXTS):
        found = record(args.out, model_class, *text_of(length, config.get_text_config()))
        tensors.update({f"{i}/{name}": value.contiguous() for name, value in found.items()})
    assert all(value.isfinite().all() for value in tensors.values())
    (args.out / "model.safetensors").unlink()
    if args.written:
        (args.out / "config.json").write_text(args.written.read_text())
    file = args.out / "reference.safetensors"
    save_file(tensors, file, metadata={"transformers": transformers.__version__, "model_type": raw["model_type"],
                                       "sentence-transformers": sentence_transformers.__version__,
                                       "torch": torch.__version__.split("+")[0]})
    file.chmod(0o644)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    spread = torch.cat([value.flatten() for name, value in tensors.items() if name.endswith("hidden")]).std().item()
    print(f"{args.out}: {size} bytes, std of hidden states {spread:.2f}")
    if size > LARGEST:
        raise SystemExit(f"larger than {LARGEST} bytes")


if __name__ == "__main__":
    main()
