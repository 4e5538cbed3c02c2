"""Writes test/fixtures/text/tiktoken.json: one small file of ranks, and what the library `tiktoken` makes of hard texts
with it and the pattern of each family, as the families' Python code calls it.
"""

import base64
import json
import sys
import unicodedata
from pathlib import Path

import tiktoken
from tokenizers import models, pre_tokenizers, trainers

sys.path.insert(0, str(Path(__file__).parent))
from make_sentencepiece_fixtures import MORE_TEXTS, OUT, TEXTS, digest, lines  # noqa: E402
from make_text_fixtures import trained  # noqa: E402

WORD = r"[^\r\n\p{L}\p{N}]?"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
CLASSES = {
    "QWenTokenizer": rf"{CONTRACTION}|{WORD}\p{{L}}+|\p{{N}}|{REST}",
    "ChatGLM4Tokenizer": rf"{CONTRACTION}|{WORD}\p{{L}}+|\p{{N}}{{1,3}}|{REST}",
    "TikTokenTokenizer": rf"[\p{{Han}}]+|{WORD}{UPPER}*{LOWER}+{CONTRACTION}?|{WORD}{UPPER}+{LOWER}*{CONTRACTION}?|\p{{N}}{{1,3}}|{REST}",
}


def ranks():
    """Byte-level BPE's tokens in the order of their merges are tiktoken's ranks."""
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    vocab = trained(models.BPE(), trainer, pre_tokenizers.ByteLevel(add_prefix_space=False), lines())["model"]["vocab"]
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
    return {bytes(byte_of[c] for c in token): rank for token, rank in vocab.items()}


if __name__ == "__main__":
    texts = TEXTS + MORE_TEXTS
    ranked = ranks()
    file = "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranked.items())
    (OUT / "small.tiktoken").write_text(file, encoding="utf-8")
    classes = {}
    for name, pattern in CLASSES.items():
        encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranked, special_tokens={})
        form = (lambda text: unicodedata.normalize("NFC", text)) if name == "QWenTokenizer" else (lambda text: text)
        classes[name] = [digest(encoding.encode(form(text), disallowed_special=())) for text in texts]
    text = json.dumps({"texts": texts, "classes": classes}, ensure_ascii=False, separators=(",", ":"))
    (OUT / "tiktoken.json").write_text(text + "\n", encoding="utf-8")
    print(len(ranked), len(file), len(text))
