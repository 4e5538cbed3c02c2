#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes test/fixtures/text/pairs.json: what transformers makes of texts and pairs of texts, cut and whole, with the
tokenizers of BERT, RoBERTa, XLM-RoBERTa and Qwen.  Needs no torch.

{"tokenizers": {NAME: {"tokenizer": tokenizer.json, "config": tokenizer_config.json}},
 "cases": [{"tokenizer", "text", "pair" or null, "max_length" or null, "side", "ids", "types"}]}
"""

import json
import pathlib
import tempfile

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (BertTokenizer, PreTrainedTokenizerFast, RobertaTokenizer, XLMRobertaTokenizer)

from make_text_fixtures import CORPUS

OUT = pathlib.Path(__file__).parents[2] / "test/fixtures/text/pairs.json"
TEXTS = [
    ("The dog's door", None),
    ("", None),
    ("Where does the dog sleep?", "The quick brown fox jumps over the lazy dog, and the dog sleeps on."),
    ("the woods; the house had a door and the door had a key", "a key"),
    ("schön Straße café", "这是一个测试 日本語のテスト"),
    ("[CLS] the dog [SEP] <s>hi</s>", "<pad> [MASK] <|endoftext|> ÜBER"),
    ("", "the dog"),
    ("the dog", ""),
]
LENGTHS = (None, 9, 16)


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
        vocab_size=220, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    return BertTokenizer(vocab=tokenizer.get_vocab(), do_lower_case=True)


def byte_level(specials):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=300, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(tokenizer.to_str())["model"]
    return tokenizer, model["vocab"], [tuple(pair) for pair in model["merges"]]


def roberta():
    _, vocab, merges = byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return RobertaTokenizer(vocab=vocab, merges=merges)


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(CORPUS, trainers.UnigramTrainer(
        vocab_size=150, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>"))
    vocab = [tuple(entry) for entry in json.loads(tokenizer.to_str())["model"]["vocab"]]
    return XLMRobertaTokenizer(vocab=vocab)


def qwen_embedding():
    """As Qwen3-Embedding's: byte-level BPE, with one token behind each text."""
    tokenizer, _, _ = byte_level(["<|endoftext|>"])
    tokenizer.decoder = decoders.ByteLevel()
    end = ("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end[0]}", pair=f"$A {end[0]} $B {end[0]}", special_tokens=[end])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end[0], pad_token=end[0])


def main():
    tokenizers, cases = {}, []
    for name, make in (("bert", word_piece), ("roberta", roberta), ("xlm-roberta", unigram), ("qwen", qwen_embedding)):
        with tempfile.TemporaryDirectory() as folder:
            make().save_pretrained(folder)
            tokenizers[name] = {"tokenizer": json.loads(pathlib.Path(folder, "tokenizer.json").read_text()),
                                "config": json.loads(pathlib.Path(folder, "tokenizer_config.json").read_text())}
            for side in ("right", "left"):
                # As others load it.
                loaded = PreTrainedTokenizerFast.from_pretrained(folder, truncation_side=side)
                for text, pair in TEXTS:
                    for length in LENGTHS:
                        if side == "left" and length is None:
                            continue
                        # In a batch, as sentence-transformers calls it: alone, an empty second text would be none.
                        out = loaded([text], None if pair is None else [pair], truncation="longest_first" if length else False, max_length=length,
                                     return_token_type_ids=True)
                        cases.append({"tokenizer": name, "text": text, "pair": pair, "max_length": length,
                                      "side": side, "ids": out["input_ids"][0], "types": out["token_type_ids"][0]})
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    files = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in tokenizers.items())
    OUT.write_text(f'{{"tokenizers": {{\n{files}\n}},\n"cases": [\n{rows}\n]}}\n')
    print(f"{OUT}: {OUT.stat().st_size} bytes, {len(cases)} cases")


if __name__ == "__main__":
    main()
