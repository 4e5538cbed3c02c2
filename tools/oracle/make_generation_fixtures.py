"""Answers under the rules of generation_config.json, by transformers: test/fixtures/generation-rules.json.

    python tools/oracle/make_generation_fixtures.py
"""

import json
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples/models/tiny-stories"
PROMPTS = [[0, 10, 11, 12], [0, 400, 274, 263, 645, 564, 333, 461, 400, 274]]
NEW_TOKENS = 24


def answer(model, prompt: list[int], **config) -> list[int]:
    asked = GenerationConfig(**{"max_new_tokens": NEW_TOKENS, "do_sample": False, "eos_token_id": [1, 6], "pad_token_id": 2} | config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.generate(torch.tensor([prompt]), generation_config=asked)
    return found[0, len(prompt) :].tolist()


def main() -> None:
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    model.generation_config = GenerationConfig()
    cases = []
    for prompt in PROMPTS:
        plain = answer(model, prompt)
        first, second, third = plain[:3]
        late = len(prompt) + 14
        for config in [
            {},
            {"begin_suppress_tokens": [first, second]},
            {"bad_words_ids": [[first, second], [plain[4]], [plain[5], plain[6], plain[7]], [prompt[-1], second]]},
            {"bad_words_ids": [[6], [1, 6]]},
            {"sequence_bias": [[[first], -2.5], [[first, second], -9.0], [[second, third], 4.0], [[prompt[-1], plain[3]], 30.0]]},
            {"no_repeat_ngram_size": 1},
            {"no_repeat_ngram_size": 2, "repetition_penalty": 0.8},
            {"no_repeat_ngram_size": 3, "repetition_penalty": 0.7, "max_new_tokens": 40},
            {"forced_eos_token_id": 6},
            {"forced_eos_token_id": [6, 1], "max_new_tokens": 5},
            {"exponential_decay_length_penalty": [3, 1.3]},
            {"exponential_decay_length_penalty": [0, 1.02], "repetition_penalty": 1.1},
            {"exponential_decay_length_penalty": [0, 2.0], "min_length": late},
            {"exponential_decay_length_penalty": [0, 2.0], "min_length": late, "min_new_tokens": 9},
            {"forced_eos_token_id": 6, "suppress_tokens": [20], "begin_suppress_tokens": [first], "min_length": late},
        ]:
            tokens = answer(model, prompt, **config)
            # Rules must matter, but for the word that ends texts, which transformers leaves alone.
            kept = ["max_new_tokens", "repetition_penalty"] + ["exponential_decay_length_penalty"] * ("min_length" in config)
            others = {key: value for key, value in config.items() if key in kept}
            if config and tokens == answer(model, prompt, **others) and [6] not in config.get("bad_words_ids", []):
                continue
            cases.append({"prompt": prompt, "config": config, "tokens": tokens})
    source = f"transformers {transformers.__version__} in f32: generate() of examples/models/tiny-stories"
    text = ",\n".join(json.dumps(case) for case in cases)
    (ROOT / "test/fixtures/generation-rules.json").write_text(
        f'{{"source": {json.dumps(source)}, "newTokens": {NEW_TOKENS}, "cases": [\n{text}\n]}}\n'
    )


if __name__ == "__main__":
    main()
