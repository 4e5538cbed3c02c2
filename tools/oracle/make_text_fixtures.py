"""Writes test/fixtures/text/: what Hugging Face's tokenizers and transformers make of texts and conversations.

Needs no torch. Texts and ids are kept as hashes, so that the files stay small; the tokenizers and templates are our own.
"""

import datetime
import hashlib
import json
import os
import random
import tempfile
import warnings
from pathlib import Path

os.environ["TZ"] = "UTC"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")

import transformers.utils.chat_template_utils as chat  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

OUT = Path(__file__).parents[2] / "test/fixtures/text"
CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on. It's 12 o'clock; we'll see 345 of them!",
    "once upon a time there was a little house in the woods; the house had a door and the door had a key",
    "der die das und ist nicht für über schön Straße; le café est très bon; niño, mañana, corazón",
    "这是一个测试 日本語のテスト 한국어 시험 Привет мир как дела שלום עולם مرحبا بالعالم",
    "x = [1, 2, 3]\n    return x\n\n\tif a != b:\n",
]
TEXTS = [
    "",
    " ",
    "   ",
    "Hello world",
    " hello  world ",
    "The dog's door, isn't it? WE'LL see.",
    "tabs\tand\nnew\r\nlines\n\n\n  end  ",
    "12345 6.78 ½ ² ٣ 九",
    "café CAFÉ cafe\u0301 ﬁ ﬀ Ａ ｱ ß İı ŉ",
    "日本語のテスト、漢字。한국어 中文",
    "שלום עולם مرحبا हिन्दी ไทย",
    "😀 👨‍👩‍👧 🇩🇪 👍🏽 \U0001f9d1‍\U0001f4bb",
    "\u0000\u0001\u001f\u007f\u0085\u00a0\u00ad\u200b\u200d\u2028\u3000\ufeff\ufffd\ufdd0",
    "a" * 100,
    " " * 37 + "x" + "\n" * 9,
    "<s>hi</s> <unk> <pad>",
    "<|im_start|>user\nHi<|im_end|>\n",
    "<left> x  <right>  y<both>  z <word> sword<word>s <word>",
    "foo food  foo. FOO Foo foo_bar",
    "[CLS] the dog [SEP] [MASK]ed",
    "<think>hm</think><tool>ÜBER</tool> Über ÜBER",
    "def f(x):\n    return x + 1  # don't\n",
    "http://a.b/c?d=e&f=g#h user@mail.com $5.00 50% C++ --flag",
    "▁under▁score Ġbyte <0x41> <0xE2>",
    "the  end, of-it",
    "ΑΒΓ αβγ Ὀδυσσεύς ΌΣΟΣ ǅ ǆ",
]


def token(content, **flags):
    base = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"content": content, **base, **flags}


def trained(model, trainer, pre=None, corpus=CORPUS):
    tokenizer = Tokenizer(model)
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    tokenizer.train_from_iterator(corpus, trainer)
    return json.loads(tokenizer.to_str())


def base_tokenizers():
    byte_level = trained(
        models.BPE(),
        trainers.BpeTrainer(
            vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    )
    byte_level["decoder"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    spaced = trained(
        models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True),
        trainers.BpeTrainer(
            vocab_size=420, special_tokens=["<unk>", "<s>", "</s>", *byte_tokens], limit_alphabet=90, show_progress=False
        ),
        pre_tokenizers.Metaspace(),
    )
    spaced["added_tokens"] = spaced["added_tokens"][:3]
    spaced["decoder"] = {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    }
    unigram = trained(
        models.Unigram(),
        trainers.UnigramTrainer(
            vocab_size=420, special_tokens=["<unk>", "<s>", "</s>", *byte_tokens], unk_token="<unk>", show_progress=False
        ),
        pre_tokenizers.Metaspace(),
    )
    unigram["model"]["byte_fallback"] = True
    unigram["added_tokens"] = unigram["added_tokens"][:3]
    unigram["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, unigram["pre_tokenizer"]]}
    word_piece = trained(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(
            vocab_size=260, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
        ),
        pre_tokenizers.BertPreTokenizer(),
    )
    word_piece["normalizer"] = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    word_piece["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    words = trained(
        models.WordLevel(unk_token="<unk>"),
        trainers.WordLevelTrainer(vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False),
        pre_tokenizers.Whitespace(),
    )
    suffixed = trained(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"),
        trainers.BpeTrainer(
            vocab_size=220, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
        ),
        pre_tokenizers.Whitespace(),
    )
    suffixed["decoder"] = {"type": "BPEDecoder", "suffix": "</w>"}
    for one in (byte_level, spaced, unigram, word_piece, words, suffixed):
        one["truncation"] = None
        one["padding"] = None
    return {
        "byte-level": byte_level,
        "spaced": spaced,
        "unigram": unigram,
        "word-piece": word_piece,
        "words": words,
        "suffixed": suffixed,
    }


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(pattern, behavior, invert=False):
    first = {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [first, BYTES]}}


def before_bytes(step):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [step, BYTES]}}


def around(bos, bos_id):
    single = [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {bos: {"id": bos, "ids": [bos_id], "tokens": [bos]}},
    }


def variants():
    """(name, base, changes of tokenizer.json, other files)"""
    chat_ml = {"<|im_start|>": 330, "<|im_end|>": 331}
    decoder = {str(i): token(content) for content, i in chat_ml.items()}
    flags = [
        {"id": 330, **token("<left>", lstrip=True)},
        {"id": 331, **token("<right>", rstrip=True)},
        {"id": 332, **token("<both>", lstrip=True, rstrip=True)},
        {"id": 333, **token("<word>", single_word=True)},
        {"id": 334, **token("foo", single_word=True, special=False, normalized=True)},
        {"id": 335, **token("<think>", special=False, normalized=True)},
        {"id": 336, **token("über", special=False, normalized=True)},
    ]
    lower = {"normalizer": {"type": "Lowercase"}}
    yield "plain", "byte-level", {}, {}
    yield "llama 3", "byte-level", {
        **split({"Regex": LLAMA3}, "Isolated"),
        "added_tokens": [{"id": 330, **token("<s>")}],
        "post_processor": {"type": "Sequence", "processors": [BYTES, around("<s>", 330)]},
    }, {"tokenizer_config.json": {"bos_token": "<s>"}}
    yield "prefix space", "byte-level", {"pre_tokenizer": {**BYTES, "add_prefix_space": True, "use_regex": True}}, {}
    yield "flags", "byte-level", {"added_tokens": flags}, {}
    yield "flags, lower case", "byte-level", {"added_tokens": flags, **lower}, {}
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            name = f"split {behavior}{', inverted' if invert else ''}"
            yield f"{name}, blank", "byte-level", split({"String": " "}, behavior, invert), {}
            yield f"{name}, pattern", "byte-level", split({"Regex": r"[,.;!?]|\s+"}, behavior, invert), {}
    yield "digits", "byte-level", before_bytes({"type": "Digits", "individual_digits": True}), {}
    yield "digit runs", "byte-level", before_bytes({"type": "Digits", "individual_digits": False}), {}
    yield "punctuation", "byte-level", before_bytes({"type": "Punctuation", "behavior": "Contiguous"}), {}
    yield "scripts", "byte-level", before_bytes({"type": "UnicodeScripts"}), {}
    yield "delimiter", "byte-level", before_bytes({"type": "CharDelimiterSplit", "delimiter": "e"}), {}
    yield "white space", "byte-level", before_bytes({"type": "WhitespaceSplit"}), {}
    for normalizer in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"):
        steps = [{"type": "NFD"}, {"type": normalizer}] if normalizer == "StripAccents" else [{"type": normalizer}]
        yield normalizer, "byte-level", {"normalizer": {"type": "Sequence", "normalizers": steps}}, {}
    yield "strip and replace", "byte-level", {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Strip", "strip_left": True, "strip_right": True},
                {"type": "Replace", "pattern": {"Regex": r"\s{2,}"}, "content": " "},
                {"type": "Replace", "pattern": {"String": "``"}, "content": '"'},
            ],
        }
    }, {}
    yield "spaced", "spaced", {}, {}
    yield "spaced, first only", "spaced", {
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    }, {}
    yield "spaced, by normaliser", "spaced", {
        "pre_tokenizer": None,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "post_processor": around("<s>", 1),
    }, {"tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>"}}
    yield "unigram", "unigram", {}, {}
    yield "unigram without bytes", "unigram", {"model.byte_fallback": False}, {}
    yield "unigram, NFKC", "unigram", {"normalizer": {"type": "NFKC"}}, {}
    yield "word pieces", "word-piece", {"post_processor": around("[CLS]", 2)}, {
        "tokenizer_config.json": {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    }
    yield "words", "words", {}, {}
    yield "suffixed", "suffixed", {}, {}
    yield "no decoder", "byte-level", {"decoder": None}, {}
    yield "CTC decoder", "words", {
        "decoder": {"type": "CTC", "pad_token": "<unk>", "word_delimiter_token": "the", "cleanup": True}
    }, {}
    yield "truncation and padding", "byte-level", {
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 9},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "!",
        },
    }, {}
    yield "added_tokens_decoder", "byte-level", {}, {"tokenizer_config.json": {"added_tokens_decoder": decoder}}
    yield "added_tokens_decoder over added_tokens", "byte-level", {"added_tokens": flags}, {
        "tokenizer_config.json": {
            "added_tokens_decoder": {
                "330": token("<left>"),
                "334": token("foo", special=False, normalized=False),
                "337": token("<pad>"),
            },
            "eos_token": "<think>",
        }
    }
    yield "added_tokens.json", "byte-level", {}, {
        "added_tokens.json": chat_ml,
        "special_tokens_map.json": {"eos_token": "<|im_end|>", "pad_token": token("<pad>", lstrip=True)},
    }
    yield "special_tokens_map over config", "byte-level", {}, {
        "tokenizer_config.json": {"eos_token": "<pad>", "bos_token": "<s>"},
        "special_tokens_map.json": {"eos_token": "</s>"},
    }
    yield "special_tokens_map beside added_tokens_decoder", "byte-level", {}, {
        "tokenizer_config.json": {"added_tokens_decoder": decoder},
        "special_tokens_map.json": {"eos_token": "</s>"},
    }
    yield "additional_special_tokens", "byte-level", {}, {
        "tokenizer_config.json": {
            "additional_special_tokens": ["<tool>", {"__type": "AddedToken", **token("</tool>", lstrip=True)}],
            "image_token": "<both>",
        }
    }
    yield "added_tokens_decoder, what was special stays so", "byte-level", {"added_tokens": flags}, {
        "tokenizer_config.json": {
            "added_tokens_decoder": {
                "331": token("<right>", special=False, lstrip=True),
                "335": token("<think>", special=True, normalized=True),
            },
            "extra_special_tokens": {"image_token": "<both>", "boi_token": "<|im_start|>"},
            "additional_special_tokens": ["<tool>"],
        }
    }
    yield "named tokens are special, whatever tokenizer.json says", "byte-level", {"added_tokens": flags}, {
        "added_tokens.json": {"<|im_end|>": 400, "<|im_start|>": 399, "</tool>": 331, "<word>": 401},
        "special_tokens_map.json": {
            "eos_token": "foo",
            "pad_token": None,
            "extra_special_tokens": ["<tool>"],
            "additional_special_tokens": ["<unused>"],
        },
        "tokenizer_config.json": {
            "extra_special_tokens": ["<|im_end|>"],
            "pad_token": "<s>",
            "mask_token": {"__type": "AddedToken", "content": "</s>", "lstrip": True},
        },
    }
    yield "no pad_token, whatever the padding says", "byte-level", {
        "padding": {
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "!",
        },
    }, {"tokenizer_config.json": {"pad_token": None, "model_specific_special_tokens": {"image_token": "<pad>"}}}
    yield "split_special_tokens, and an unknown class with add_prefix_space", "byte-level", {"added_tokens": flags}, {
        "tokenizer_config.json": {
            "tokenizer_class": "UnknownTokenizer",
            "add_prefix_space": True,
            "split_special_tokens": True,
            "pad_token": "the",
        }
    }
    for flag_bos in (None, False, True):
        for flag_eos in (None, True):
            config = {"bos_token": "<s>", "eos_token": "</s>"}
            if flag_bos is not None:
                config["add_bos_token"] = flag_bos
            if flag_eos is not None:
                config["add_eos_token"] = flag_eos
            name = f"add_bos_token {flag_bos}, add_eos_token {flag_eos}"
            yield name, "spaced", {"post_processor": around("<s>", 1)}, {"tokenizer_config.json": config}


def digest(value):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()[:12]


def tokenizer_fixture():
    # Kept once they are there: a trainer does not make the same tokenizer each time.
    kept = OUT / "tokenizers.json"
    bases = json.loads(kept.read_text(encoding="utf-8"))["bases"] if kept.exists() else base_tokenizers()
    found = []
    for name, base, changes, files in variants():
        whole = json.loads(json.dumps(bases[base]))
        for key, value in changes.items():
            if key.startswith("model."):
                whole["model"][key[len("model."):]] = value
            else:
                whole[key] = value
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **files.get("tokenizer_config.json", {})}
        with tempfile.TemporaryDirectory() as folder:
            written = {**files, "tokenizer.json": whole, "tokenizer_config.json": config}
            for file, content in written.items():
                Path(folder, file).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        rng = random.Random(name)
        size = len(tokenizer)
        cases = []
        for text in TEXTS:
            ids = tokenizer(text)["input_ids"]
            plain = tokenizer(text, add_special_tokens=False)["input_ids"]
            shown = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            hidden = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            cases.append([digest(ids), digest(plain), digest(shown), digest(hidden)])
        random_ids = [[rng.randrange(size) for _ in range(12)] for _ in range(12)]
        decoded = [
            digest(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
            for ids in random_ids
        ]
        found.append(
            {
                "name": name,
                "base": base,
                "changes": changes,
                "files": {"tokenizer_config.json": config, **{k: v for k, v in files.items() if k != "tokenizer_config.json"}},
                "named": tokenizer.special_tokens_map,
                "cases": cases,
                "decoded": [[ids, text] for ids, text in zip(random_ids, decoded)],
            }
        )
    return {"texts": TEXTS, "bases": bases, "variants": found}


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 6, 4, 5, 9, 120_000)


def template_fixture():
    """The smallest templates: one expression or statement each, in the file beside this one."""
    chat.datetime = FixedDate
    variables = {
        "messages": [
            {"role": "user", "content": "Hi there"},
            {"role": "assistant", "content": 'ok "q" <b>', "tool_calls": [{"name": "f", "arguments": {"a": [1, None, 2.5]}}]},
        ],
        "d": {"k": "v", "none": None, "items": 3, "list": [3, 1, 2]},
        "tools": None,
    }
    found = []
    for source in json.loads((Path(__file__).parent / "templates.json").read_text(encoding="utf-8")):
        try:
            text = chat._cached_compile_jinja_template(source).render(**json.loads(json.dumps(variables)))
            found.append([source, text])
        except Exception as error:  # noqa: BLE001
            found.append([source, None, type(error).__name__])
    return {"variables": variables, "templates": found}


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for file, content in (("tokenizers.json", tokenizer_fixture()), ("templates.json", template_fixture())):
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        (OUT / file).write_text(text + "\n", encoding="utf-8")
        print(file, len(text))
