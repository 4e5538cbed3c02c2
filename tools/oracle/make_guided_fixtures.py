"""Texts for the tests of guided output, and what others say about them.

Reads schemas from test/fixtures/guided/schemas.json. For each it makes random texts that llguidance allows, and changed
ones, and writes test/fixtures/guided/texts.json: the text, whether llguidance allows it, and whether jsonschema finds
its value valid (null where the text is no JSON).

    python tools/oracle/make_guided_fixtures.py            # llguidance 1.9.1, jsonschema 4.26.0
    python tools/oracle/make_guided_fixtures.py DIR OUT    # for every schema below DIR instead
"""

import json
import random
import sys
from pathlib import Path

import jsonschema
from llguidance import LLMatcher, LLTokenizer

FIXTURES = Path(__file__).resolve().parents[2] / "test/fixtures/guided"
TOKENIZER = LLTokenizer("byte")
END = TOKENIZER.eos_token
ENOUGH_BYTES = 40
TOO_MANY_BYTES = 600
PIECES = b'{}[]",:0123456789-.eEtfn \\ab'


def allowed(matcher):
    mask = matcher.compute_bitmask()
    return [token for token in range(257) if mask[token >> 3] >> (token & 7) & 1]


def accepts(grammar, text):
    matcher = LLMatcher(TOKENIZER, grammar)
    return matcher.try_consume_tokens(list(text)) == len(text) and matcher.is_accepting()


def random_text(grammar, rng):
    """A text that the grammar allows: short, mostly ASCII, with few blanks."""
    matcher = LLMatcher(TOKENIZER, grammar)
    text = []
    while len(text) < TOO_MANY_BYTES:
        tokens = allowed(matcher)
        if END in tokens and (len(tokens) == 1 or rng.random() < 0.5):
            return bytes(text)
        tokens = [token for token in tokens if 32 <= token < 127] or [token for token in tokens if token < 256]
        if not tokens:
            return bytes(text)
        if len(text) > ENOUGH_BYTES:
            tokens = [token for token in tokens if chr(token) in '"}],:'] or tokens
        # One blank at a time: ours allows fewer of them than llguidance.
        if 32 in tokens and len(tokens) > 1 and (rng.random() < 0.9 or text[-1:] == [32]):
            tokens.remove(32)
        # Nor does it write further keys with \\uXXXX.
        if ord("u") in tokens and text[-1:] == [ord("\\")]:
            tokens.remove(ord("u"))
        matcher.consume_token(token := rng.choice(tokens))
        text.append(token)
    return None


def changed(text, rng):
    text = bytearray(text)
    for _ in range(rng.choice([1, 1, 2])):
        if not text:
            break
        at = rng.randrange(len(text))
        way = rng.random()
        if way < 0.4:
            del text[at]
        elif way < 0.7:
            text.insert(at, rng.choice(PIECES))
        else:
            text[at] = rng.choice(PIECES)
    return bytes(text)


def valid(schema, text):
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return jsonschema.validators.validator_for(schema)(schema).is_valid(value)


def cases_of(schema, rng, count):
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema))
    if error := LLMatcher(TOKENIZER, grammar).get_error():
        raise ValueError(error)
    texts = []
    for _ in range(count):
        text = random_text(grammar, rng)
        if text is not None:
            made = [text] + [changed(text, rng) for _ in range(3)]
            texts += [text for text in made if b"  " not in text]
    cases = {}
    for text in texts:
        try:
            cases[text.decode()] = [accepts(grammar, text), valid(schema, text)]
        except UnicodeDecodeError:
            continue
    return [[text, *verdicts] for text, verdicts in cases.items()]


def main():
    rng = random.Random(7)
    if len(sys.argv) == 1:
        schemas = json.loads((FIXTURES / "schemas.json").read_text())
        out, count = FIXTURES / "texts.json", 6
    else:
        schemas = [json.loads(path.read_text()) for path in sorted(Path(sys.argv[1]).rglob("*.json"))]
        out, count = Path(sys.argv[2]), 12
    written = []
    refused = 0
    for schema in schemas:
        try:
            written.append({"schema": schema, "texts": cases_of(schema, rng, count)})
        except (ValueError, jsonschema.exceptions.SchemaError) as error:
            refused += 1
            print(f"left out: {str(error)[:100]}")
    rows = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in written]
    out.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    print(f"{len(written)} schemas, {sum(len(case['texts']) for case in written)} texts; {refused} left out")


if __name__ == "__main__":
    main()
