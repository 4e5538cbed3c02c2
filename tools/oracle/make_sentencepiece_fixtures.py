"""Writes small SentencePiece models to test/fixtures/text/, and to sentencepiece.json what the library `sentencepiece`
makes of hard texts with them. Needs no torch.
"""

import io
import json
import re
import sys
import tempfile
from pathlib import Path

import sentencepiece

sys.path.insert(0, str(Path(__file__).parent))
from make_text_fixtures import CORPUS, TEXTS, digest  # noqa: E402

ROOT = Path(__file__).parents[2]
OUT = ROOT / "test/fixtures/text"
# What NMT's NFKC does, in the few rules that the texts need: the whole table has 240 KB.
RULES = {
    "ﬁ": "fi", "ﬀ": "ff", "Ａ": "A", "ｱ": "ア", "ｶﾞ": "ガ", "ｷﾞ": "ギ", "e\u0301": "é", "A\u030a": "Å", "½": "1⁄2", "²": "2", "™": "TM",
    "…": "...", "⑳": "20", "㌀": "アパート", "１": "1", "２": "2", "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\r": " ",
    "\u0001": "", "\u0002": "", "\u001f": "", "\u007f": "", "\u00ad": "", "\u200b": " ", "\ufeff": "", "\u1100\u1161": "가", "＜": "<", "＞": ">",
}
MORE_TEXTS = [
    "▁", "▁▁", " ▁ ", "a▁", "▁a", "hello▁ ", "  ▁x", "\n", " \n ", "x  \n  y", "\t\tx\t", "\r\n", "\u00a0 x \u00a0", "\u3000全角\u3000",
    "＜s＞ <s>", "<s> </s> <unk> <0x41><0xE2><0x96>", "<0x41>", "<s>", "<sep>", "a<sep>b", "  <sep>  <sep>x", "<sep> <sep><br>", "<br",
    "ﬁ\u0301 e\u0301\u0301 A\u030a\u0301 ｶﾞ ｷﾞｬ", "각 힣 \u1100\u1161\u11a8", "ÀÈÌ Ǆ ㌀ ㍿ ⑳ ™ ℃ …", "नमस्ते क्षत्रिय ਪੰਜਾਬੀ বাংলা தமிழ் తెలుగు ಕನ್ನಡ മലയാളം",
    "ภาษาไทย ພາສາລາວ မြန်မာ ខ្មែរ ქართული հայերեն አማርኛ ᠮᠣᠩᠭᠣᠯ བོད་", "\U00010348\U0001f600\U0002070e\U0001d4d0 \u202egnp.exe\u202c",
    "🏳️‍🌈🏴\U000e0067\U000e0062\U000e007f 👩🏿‍🚒", "aaaaaaa bbbbb    cccc", "." * 50, "=-" * 20, "the the the  the   the    the",
    "\u0001\u0002 \u0008\u000b\u000c\u001b[0m", "１２３４５ 12345678901234567890", "ſ ẞ ß ŉ ĳ ﬀ", "hello world " * 20,
    "\t<0x41>\t<0x41><br><0x41>x<r7><0xE2>", "<r1><r12><r123>",
    # Several ways to cut these have the same score, up to rounding.
    "l" * 25 + "=" * 30, "9" * 13 + "l" * 11 + "t", "e" * 24 + "l" * 25 + "o" * 20, "*" * 17 + "." * 31 + "l" * 15,
    "hidhnd sassrheoh trtrh tlld ttunsa neillt tllltehrh hias dhdtl oitditsis an tnonlth thnelh d iiih rnrrtrdhs duss",
]


def lines():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8").split("\n")
    return [line for line in [*CORPUS, *licence] if line.strip()]


def train(rules=None, **options):
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as tsv:
        for source, target in (rules or {}).items():
            tsv.write("\t".join(" ".join(f"{ord(c):x}" for c in text) for text in (source, target)) + "\n")
        tsv.flush()
        if rules:
            options["normalization_rule_tsv"] = tsv.name
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines()), model_writer=model, hard_vocab_limit=False, minloglevel=2, num_threads=1, **options
        )
    return model.getvalue()


def models():
    """(name, options): as the checkpoints have them, and each setting that changes what encoding does."""
    identity = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    llama = {**identity, "model_type": "bpe", "vocab_size": 560, "byte_fallback": True, "split_digits": True, "character_coverage": 0.98}
    spaces = ["▁" * length for length in range(2, 9)]
    yield "BPE as llama 2", {**llama, "allow_whitespace_only_pieces": True}
    yield "BPE as gemma", {**llama, "add_dummy_prefix": False, "user_defined_symbols": ["<sep>", "\n", "\n\n", "<br>", "\t", *spaces],
                           "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
    yield "BPE, marked words", {**llama, "user_defined_symbols": ["<sep>", "<br>", "C++"], "control_symbols": ["<ctl>"]}
    # More of them than one pattern looks for, as Baichuan and MiniCPM have.
    yield "BPE, many marked words", {**llama, "vocab_size": 1160, "add_dummy_prefix": False, "user_defined_symbols": ["<sep>", "<br>", "\t", *[f"<r{at}>" for at in range(597)]]}
    yield "BPE without bytes", {"model_type": "bpe", "vocab_size": 320, "normalization_rule_name": "identity"}
    yield "BPE, NMT's NFKC", {"model_type": "bpe", "vocab_size": 300, "split_by_whitespace": False, "rules": RULES}
    # What the rules would replace stands where it is a marked word.
    kept = {"user_defined_symbols": ["\n", "ﬁ", "e", "▁▁"], "rules": {**RULES, "▁": " "}}
    yield "BPE, NMT's NFKC, marked words", {"model_type": "bpe", "vocab_size": 300, **kept}
    yield "unigram, NMT's NFKC, marked words", {"model_type": "unigram", "vocab_size": 320, **kept}
    yield "unigram as T5", {"model_type": "unigram", "vocab_size": 400, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "rules": RULES}
    yield "unigram with bytes", {**identity, "model_type": "unigram", "vocab_size": 560, "byte_fallback": True, "character_coverage": 0.98}
    yield "unigram, marked words", {"model_type": "unigram", "vocab_size": 360, "normalization_rule_name": "identity", "user_defined_symbols": ["<sep>", "<br>"]}
    yield "unigram, no prefix", {**identity, "model_type": "unigram", "vocab_size": 360, "add_dummy_prefix": False}
    yield "unigram, extra blanks, no prefix", {"model_type": "unigram", "vocab_size": 360, "normalization_rule_name": "identity", "add_dummy_prefix": False}


if __name__ == "__main__":
    texts = TEXTS + MORE_TEXTS
    found = []
    for name, options in models():
        model = train(**options)
        file = re.sub(r"\W+", "-", name).lower() + ".model"
        (OUT / file).write_bytes(model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        cases = []
        for text in texts:
            ids = processor.encode(text)
            # The text of unknown pieces is SentencePiece's own affair: a tokenizer.json names the token.
            cases.append([digest(ids), None if processor.unk_id() in ids else digest(processor.decode(ids))])
        found.append({"name": name, "file": file, "cases": cases})
    text = json.dumps({"texts": texts, "models": found}, ensure_ascii=False, separators=(",", ":"))
    (OUT / "sentencepiece.json").write_text(text + "\n", encoding="utf-8")
    print("sentencepiece.json", len(text))
