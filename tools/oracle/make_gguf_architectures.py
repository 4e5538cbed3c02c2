#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records models of the architectures that llama.cpp's own converter knows, and what transformers computes with them.

    make_gguf_architectures.py LLAMA_CPP OUT [NAME ...]     # test/fixtures/gguf/architectures; all of gguf_cases.py without names

LLAMA_CPP is a checkout of llama.cpp's source: its converter writes the files, so that names, orders and transforms in them
are the real ones and not only inverses of ours. Each case is the configuration of a case of test/fixtures/families or
encoders, made smaller. Its matrices hold whole numbers of up to 127 times a power of two, of which each 32 neighbours of a
row or of a column have a 127: Q8_0 stands for them exactly, so that the same numbers are in the file and in transformers.

OUT gets NAME.gguf, and architectures.json: {"prompt": [...], "cases": {NAME: {"logits": base64 of f32}}} with the
logits, or `last_hidden_state`, of the last ROWS tokens of the prompt. A name that is given alone changes its own entry only.
"""

import argparse
import base64
import json
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

from gguf_cases import CASES
from recording import free_generation
from reference import class_of, load
from remote_families import FAMILIES
from tiny_checkpoint import DERIVED, write_stand_in, write_tiny
from tiny_config import config_of

ROWS, VOCAB, LENGTH, SEED = 4, 64, 24, 1
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "test/fixtures"
KINDS = {"family": "families", "encoder": "encoders"}
PROMPT = [1] + [(7 * i * i + 11 * i) % (VOCAB - 10) + 5 for i in range(1, LENGTH)]


def whole_numbers(name, tensor):
    """The tensor as Q8_0 can say it; what is added, or multiplies a row, as it is in bf16."""
    if tensor.ndim < 2 or not tensor.is_floating_point() or name.endswith(DERIVED):
        return tensor.bfloat16().float() if tensor.is_floating_point() else tensor
    step = 2.0 ** torch.round(torch.log2(tensor.std() * 3 / 127))
    numbers = torch.round(tensor / step).clamp(-127, 127)
    rows, columns = torch.meshgrid(torch.arange(tensor.shape[-2]), torch.arange(tensor.shape[-1]), indexing="ij")
    largest = (rows + columns) % 32 == 0
    return torch.where(largest, torch.where(numbers < 0, -127.0, 127.0), numbers) * step


def with_words(converter, case):
    """A vocabulary in place of the tokenizer that a small checkpoint has not. Encoders take the vector of the first token."""
    import gguf

    writer = converter.gguf_writer
    if "encoder" in case:
        writer.add_pooling_type(gguf.PoolingType.CLS)
    if case.get("encoder") == "bert":
        named = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        words = [*named, "\u2581word", "s", *(f"\u2581{i}" for i in range(VOCAB - 7))]
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("bert-bge")
        writer.add_token_list([word.encode() for word in words])
        writer.add_token_types([3] * len(named) + [1] * (VOCAB - len(named)))
        for at, add in enumerate((writer.add_pad_token_id, writer.add_unk_token_id, writer.add_bos_token_id,
                                  writer.add_sep_token_id, writer.add_mask_token_id)):
            add(at)
        return
    writer.add_tokenizer_model("llama")
    # llama.cpp wants one for the end of a line.
    writer.add_token_list([b"<0x0A>" if i == 3 else f"<{i}>".encode() for i in range(VOCAB)])
    writer.add_token_scores([float(-i) for i in range(VOCAB)])
    writer.add_token_types([2, 3, 3, 6] + [1] * (VOCAB - 4))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def convert(folder, path, case):
    from conversion import ModelBase

    raw = json.loads((folder / "config.json").read_text())
    of_class = ModelBase.load_hparams
    # What the converter reads of published files, though the classes of this version of transformers say it otherwise.
    unsaid = case.get("unsaid", ())
    ModelBase.load_hparams = staticmethod(lambda folder, *args, **kinds: {
        key: value for key, value in {**raw, **of_class(folder, *args, **kinds)}.items() if key not in unsaid})
    try:
        write_gguf(folder, path, case)
    finally:
        ModelBase.load_hparams = of_class


def put_whole_latents(changed, found):
    """Latents as files had them until April 2025: one matrix, and the sizes of a head."""
    def modify_tensors(self, data, name, bid):
        if name.endswith("kv_b_proj.weight"):
            return [(self.map_tensor_name(name), data)]
        return found.modify_tensors(self, data, name, bid)

    def set_gguf_parameters(self):
        found.set_gguf_parameters(self)
        [values] = self.gguf_writer.kv_data
        for key in ("key_length", "value_length"):
            values[f"deepseek2.attention.{key}"] = values.pop(f"deepseek2.attention.{key}_mla")
        self.gguf_writer.add_head_count_kv(self.hparams["num_attention_heads"])

    changed.modify_tensors, changed.set_gguf_parameters = modify_tensors, set_gguf_parameters


def write_gguf(folder, path, case):
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    hparams = ModelBase.load_hparams(folder, False)
    arch = case.get("class") or get_model_architecture(hparams, ModelType.TEXT)
    found = get_model_class(arch)
    changed = type(found.__name__, (found,), {"set_vocab": lambda self: with_words(self, case), "model_arch": found.model_arch})
    if case.get("whole_latents"):
        put_whole_latents(changed, found)
    outtype = {"q8_0": gguf.LlamaFileType.MOSTLY_Q8_0, "bf16": gguf.LlamaFileType.MOSTLY_BF16,
            "f32": gguf.LlamaFileType.ALL_F32}[case.get("type", "q8_0")]
    changed.no_mtp = True
    # Mistral 3 is written by a class within its own.
    for inner in (kind for kind in vars(found).values() if isinstance(kind, type)):
        inner.set_vocab = changed.set_vocab
    with torch.inference_mode():
        changed(folder, outtype, path, eager=True, model_name="tiny").write()


def record(name, out):
    case = CASES[name]
    source = next((FIXTURES / kind / case[key] for key, kind in KINDS.items() if key in case), None)
    raw = json.loads((source / "config.json").read_text()) if source else {}
    for key, value in {"vocab_size": VOCAB, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, **case.get("set", {})}.items():
        raw.pop(key, None)
        if value is not ...:
            raw[key] = value
    model_type = raw["model_type"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        stand_in = FAMILIES[model_type](raw) if model_type in FAMILIES else None
        if stand_in:
            write_stand_in(raw, stand_in, folder, SEED)
        else:
            write_tiny(raw, config_of(raw), class_of(raw), folder, SEED, "float32")
        weights = {k: whole_numbers(k, v) for k, v in load_file(folder / "model.safetensors").items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        if stand_in:
            model = free_generation(stand_in.model(load_file(folder / "model.safetensors")))
        else:
            model = load(folder, class_of(raw), "f32", case.get("attention", "eager"))
        with torch.no_grad():
            output = model(torch.tensor([PROMPT]))
        kind = "logits" if hasattr(output, "logits") else "last_hidden_state"
        logits = getattr(output, kind)[0].float()
        (folder / "weights.json").unlink()
        converted = {**weights, **case["renamed"](weights)} if "renamed" in case else weights
        save_file(converted, folder / "model.safetensors", metadata={"format": "pt"})
        if "encoder" in case or "gemma" in model_type:
            # By which the converter tells kinds of Nomic's apart, and rows that Gemma's has no words for.
            words = {"model": {"type": "WordPiece", "vocab": list(range(VOCAB))}, "added_tokens": []}
            (folder / "tokenizer.json").write_text(json.dumps(words))
        convert(folder, out / f"{name}.gguf", case)
    if not logits.std() >= 1:
        print(f"{name}: std of logits is {logits.std():.2f}")
    print(name, (out / f"{name}.gguf").stat().st_size, f"bytes, std {logits.std():.2f}")
    rows = logits[-ROWS:].contiguous().numpy().astype("<f4")
    return {kind: base64.b64encode(rows.tobytes()).decode()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llama_cpp", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", default=list(CASES))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sys.path[:0] = [str(args.llama_cpp / "gguf-py"), str(args.llama_cpp)]
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    file = args.out / "architectures.json"
    cases = json.loads(file.read_text())["cases"] if file.exists() else {}
    for name in args.names:
        cases[name] = record(name, args.out)
    text = {"versions": {"transformers": transformers.__version__}, "prompt": PROMPT, "cases": dict(sorted(cases.items()))}
    file.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
