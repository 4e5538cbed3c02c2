#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what transformers computes for a checkpoint, module by module, so that another engine can be compared.

    reference.py MODEL_DIR --tokens 1,5,9 --greedy 16 --output reference.safetensors
    reference.py MODEL_DIR --text "Once upon a time"
    reference.py MODEL_DIR --tiny --checkpoint OUT --prompt_lens 1,17,150

MODEL_DIR holds a checkpoint, or with --tiny a config.json alone: the configuration is made small first (tiny_config.py
has the rules; each change is printed) and a random checkpoint of it is written to --checkpoint, with scales at which a
mistake shows: logits spread out, norm weights not 1, biases not 0.  It may be any model that AutoModelForCausalLM loads,
or an encoder (AutoModel) or a classifier (AutoModelForSequenceClassification), as config.json's `architectures` says.

The file (safetensors; T tokens, all float32 unless said):

    tokens                      int64 [T]
    activations/PATH            [T, ...]  what the module PATH returned, as `model.layers.0.self_attn.q_proj`; the first
                                          of several results.  A module that runs more than once keeps its first call,
                                          and an expert that sees fewer tokens has as many rows
    activations/PATH:input      [T, ...]  what went into a module, where no module returned it: attention before `o_proj`,
                                          the gated product before `down_proj`, the sum that a norm reads
    activations/PATH:query      [T, heads, D]   what attention saw of an attention module PATH, after norms and rotary
                :key, :value    [T, kv heads, D]
    logits                      [T, vocab]; [labels] of a classifier; absent for an encoder, whose vectors are
    last_hidden_state           [T, hidden]
    greedy                      int64 [N]  the continuation, whatever the end token is (--greedy N)
    greedy_margin               [N]        best minus second best logit of each of them

With --prompt_lens 1,17,150 there are several prompts of random tokens, and every name begins with the prompt's number:
`0/tokens`.  Metadata: transformers, torch, dtype, model_type, seed (--tiny), prompt (--text), and `order`: a JSON list
of all names, activations in the order in which they were computed.

Reduced precision: with --dtype bf16 or f16 transformers computes in that type; the file still holds float32.
"""

import argparse
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers import Glm5NextConfig, Glm5NextForConditionalGeneration, Mistral4Config, Mistral4ForCausalLM

from recording import DTYPES, first_tensor, free_generation, greedy, random_prompt, recorded
from tiny_checkpoint import write_tiny
from tiny_config import config_of, shrink

STORED = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
MIN_LOGITS_STD = 1.0
CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", type=pathlib.Path)
    parser.add_argument("--tiny", action="store_true", help="make a random checkpoint of config.json first")
    parser.add_argument("--checkpoint", type=pathlib.Path, help="where --tiny writes it (default: MODEL_DIR-tiny)")
    parser.add_argument("--seed", type=int, default=1, help="of the weights of --tiny")
    parser.add_argument("--dtype", choices=STORED, default="f32", help="of weights and arithmetic")
    prompt = parser.add_mutually_exclusive_group(required=True)
    prompt.add_argument("--tokens", help="ids with commas between")
    prompt.add_argument("--text", help="tokenised by the checkpoint's own tokenizer")
    prompt.add_argument("--prompt_lens", help="lengths with commas between: one random prompt each")
    parser.add_argument("--greedy", type=int, default=0, help="tokens to continue by")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("reference.safetensors"))
    return parser.parse_args()


def integers(text):
    return [int(part) for part in text.split(",")]


def class_of(raw):
    architecture = (raw.get("architectures") or [""])[0]
    if architecture.endswith("ForSequenceClassification"):
        return AutoModelForSequenceClassification
    if architecture.endswith(CAUSAL):
        return AutoModelForCausalLM
    if architecture:
        return AutoModel
    # Only decoders have a class for generation that is not also an encoder's.
    config = config_of(raw)
    decoder = type(config) in AutoModelForCausalLM._model_mapping and raw["model_type"] not in ENCODERS
    return AutoModelForCausalLM if decoder else AutoModel


# They generate, though transformers 5.24 does not list them among the classes that do.
AutoModelForCausalLM.register(Glm5NextConfig, Glm5NextForConditionalGeneration, exist_ok=True)
AutoModelForCausalLM.register(Mistral4Config, Mistral4ForCausalLM, exist_ok=True)

ENCODERS = ("bert", "roberta", "xlm-roberta", "camembert", "electra")


def make_tiny(args, raw):
    small, changes = shrink(raw)
    print("\n".join(changes) or "config.json is small already: nothing changed")
    folder = args.checkpoint or args.model_dir.with_name(f"{args.model_dir.name}-tiny")
    if folder.resolve() == args.model_dir.resolve():
        raise SystemExit("--checkpoint must not be MODEL_DIR: it would overwrite the configuration that it reads")
    write_tiny(small, config_of(small), class_of(raw), folder, args.seed, STORED[args.dtype])
    print(f"checkpoint: {folder}")
    return folder


def load(folder, model_class, dtype, attention="eager"):
    model = model_class.from_pretrained(folder, dtype=DTYPES[STORED[dtype]], attn_implementation=attention)
    return free_generation(model) if model.can_generate() else model.eval()


def prompts_of(args, folder, vocab):
    if args.prompt_lens:
        return [random_prompt(n, vocab) for n in integers(args.prompt_lens)]
    if args.text is None:
        prompts = [torch.tensor(integers(args.tokens))]
    else:
        prompts = [AutoTokenizer.from_pretrained(folder)(args.text, return_tensors="pt").input_ids[0]]
    if prompts[0].numel() == 0:
        raise SystemExit(f"no tokens: {folder} has no tokenizer, or the text is empty. Use --tokens.")
    if prompts[0].max() >= vocab:
        raise SystemExit(f"token {prompts[0].max()} does not exist: the vocabulary has {vocab}. "
                         "With --tiny use --tokens or --prompt_lens.")
    return prompts


@torch.no_grad()
def record(folder, model_class, dtype, ids, new_tokens):
    """The tensors of one prompt, without the prefix."""
    # Loaded anew for each: some rotary embeddings remember the longest sequence that they saw.
    model = load(folder, model_class, dtype)
    with recorded(model, len(ids)) as found:
        # Encoders take no cache argument, and keep none.
        out = model(ids[None], **({"use_cache": False} if model.can_generate() else {}))
    tensors = {"tokens": ids}
    logits = getattr(out, "logits", None)
    if logits is None:
        tensors["last_hidden_state"] = first_tensor(out)[0].float()
    else:
        tensors["logits"] = logits[0].float()
        # The head's own output, unless something (a softcap, a scale) came after it.
        found = {k: v for k, v in found.items() if v.shape != logits[0].shape or not torch.equal(v, logits[0].float())}
    if new_tokens and model.can_generate():
        model = load(folder, model_class, dtype)
        tensors["greedy"], tensors["greedy_margin"] = greedy(model, ids, new_tokens)
    tensors.update({f"activations/{k}": v for k, v in found.items()})
    return tensors


def summarise(tensors):
    width = max(map(len, tensors))
    for name, value in tensors.items():
        row = f"{name:{width}}  {str(list(value.shape)):16}"
        if value.is_floating_point():
            spread = value.std().item() if value.numel() > 1 else 0.0
            row += f" mean {value.mean().item():10.4f}  std {spread:10.4f}"
        print(row)


def check(tensors):
    """Numbers that hide nothing: logits that differ from one another, in every row."""
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all() and not name.startswith("activations/"):
            sys.exit(f"{name} is not finite. Attention rows without any key, or an overflow of f16, do this.")
        if name.endswith("logits") and value.ndim == 2 and value.std(-1).mean() < MIN_LOGITS_STD:
            sys.exit(f"{name}: standard deviation {value.std(-1).mean():.3g}, less than {MIN_LOGITS_STD}: a mistake "
                     "could hide in it. Take a trained checkpoint, or another --seed of --tiny; where the model "
                     "scales its logits, weight_scales.py may need a row for its head.")


def main():
    args = arguments()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    raw = json.loads((args.model_dir / "config.json").read_text())
    model_class = class_of(raw)
    folder = make_tiny(args, raw) if args.tiny else args.model_dir
    config = config_of(json.loads((folder / "config.json").read_text()))
    prompts = prompts_of(args, folder, config.get_text_config().vocab_size)
    tensors = {}
    for i, ids in enumerate(prompts):
        made = record(folder, model_class, args.dtype, ids, args.greedy)
        prefix = f"{i}/" if args.prompt_lens else ""
        tensors.update({f"{prefix}{k}": v.clone().contiguous() for k, v in made.items()})
    summarise(tensors)
    metadata = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0],
                "dtype": args.dtype, "model_type": raw["model_type"], "order": json.dumps(list(tensors))}
    if args.tiny:
        metadata["seed"] = str(args.seed)
    if args.text is not None:
        metadata["prompt"] = args.text
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, args.output, metadata=metadata)
    print(f"{args.output}: {args.output.stat().st_size} bytes")
    check(tensors)


if __name__ == "__main__":
    main()
