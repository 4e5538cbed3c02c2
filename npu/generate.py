"""Generates text greedily from a model that `atb-models export` wrote: token ids in, token ids out.

    python generate.py --input_ids 1,15043,29892 --max_new_tokens 20

Of models that see or hear, `--inserts` names a JSON file of what stands in the prompt, in its order: a list of
{"start": the place of the first of its token ids, "tokens": how many, "rows": a file beside it, float32 [tokens,
width], which the model's encoder made, "grid": {"rows", "columns", "interval"} of frames, where positions have three
axes, "whole": false for sounds, whose tokens do not see each other, where those of pictures do,
"sound": true for sounds of models that have an adapter for prompts with sound alone (phi4_multimodal)}.

Needs PyTorch with torch_npu, and MindIE's atb_models (`--library _libatb_torch`, all models) or ATB with its Python
bindings (`--library torch_atb`, models of floats).
"""
import argparse
import json
import os

import torch

from mindie_graphs import MindieGraph
from inserts import read_inserts
from step_inputs import Step, make_inputs
from torch_atb_graphs import TorchAtbGraph
from weights import TORCH_DTYPES, make_caches, read_weights

LIBRARIES = {"_libatb_torch": MindieGraph, "torch_atb": TorchAtbGraph}
HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}


def arguments():
    parser = argparse.ArgumentParser(description="Generate greedily from an exported model.")
    parser.add_argument("--input_ids", required=True, help="the prompt's token ids, joined by commas")
    parser.add_argument("--max_new_tokens", type=int, default=20)
    parser.add_argument("--checkpoint", help="its directory, where that is not the one it was exported from")
    parser.add_argument("--library", choices=LIBRARIES, default="_libatb_torch")
    parser.add_argument("--device", default="npu:0")
    parser.add_argument("--prefill_tokens", type=int, help="tokens of the prompt in the first step; others follow")
    parser.add_argument("--inserts", help="JSON file of what stands in the prompt that is no text")
    parser.add_argument("--next_ids", help="token ids to go on with in place of the likeliest, to compare logits")
    parser.add_argument("--eos", type=int, help="the token id that ends a text")
    parser.add_argument("--logits", help="file for the logits of each step's last token, float32 one after another")
    return parser.parse_args()


class Model:
    def __init__(self, args, manifest, num_blocks, inserts):
        self.device = torch.device(args.device)
        if self.device.type == "npu":
            import torch_npu  # noqa: F401  registers the device

            torch.npu.set_device(self.device)
        self.manifest = manifest
        self.num_blocks = num_blocks
        self.inserts = inserts
        tensors = read_weights(manifest, args.checkpoint or manifest["model"]["checkpoint"], self.device)
        tensors.update(make_caches(manifest, num_blocks, self.device))
        self.graphs = {}
        for kind, file in manifest["graphs"].items():
            with open(os.path.join(HERE, file), encoding="utf-8") as text:
                self.graphs[kind] = LIBRARIES[args.library](json.load(text), tensors)

    def logits(self, kind, token_ids, start, prompt_length):
        """Logits of the last token of a step, float32 [vocab]."""
        model, block_size = self.manifest["model"], self.manifest["block_size"]
        step = Step(token_ids, start, prompt_length, block_size, self.num_blocks, self.inserts)
        # No sequence is longer than the cache.
        max_positions = min(model["max_position_embeddings"], self.num_blocks * block_size)
        inputs = make_inputs(self.manifest, kind, step, max_positions, self.device)
        dtype = DTYPES[model["dtype"]]
        result = self.graphs[kind].run(inputs, 1, model["vocab_size"], dtype, self.device)
        return result.float().cpu()[-1]


def main():
    args = arguments()
    with open(os.path.join(HERE, "manifest.json"), encoding="utf-8") as text:
        manifest = json.load(text)
    tokens = [int(token) for token in args.input_ids.split(",")]
    prompt_length = len(tokens)
    num_blocks = -(-(prompt_length + args.max_new_tokens) // manifest["block_size"])
    inserts = read_inserts(args.inserts, prompt_length) if args.inserts else []
    model = Model(args, manifest, num_blocks, inserts)
    given = [int(token) for token in args.next_ids.split(",")] if args.next_ids else []
    rows = []
    first = args.prefill_tokens or prompt_length
    logits = model.logits("prefill", tokens[:first], 0, prompt_length)
    rows.append(logits)
    if first < prompt_length:
        logits = model.logits("splitfuse", tokens[first:], first, prompt_length)
        rows.append(logits)
    while len(tokens) < prompt_length + args.max_new_tokens:
        tokens.append(given.pop(0) if given else int(logits.argmax()))
        if tokens[-1] == args.eos or len(tokens) == prompt_length + args.max_new_tokens:
            break
        logits = model.logits("decode", tokens[-1:], len(tokens) - 1, prompt_length)
        rows.append(logits)
    if args.logits:
        torch.stack(rows).numpy().tofile(args.logits)
    print(",".join(str(token) for token in tokens[prompt_length:]))


if __name__ == "__main__":
    main()
