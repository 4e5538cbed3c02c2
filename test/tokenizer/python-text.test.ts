import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { ChatTemplate } from '../../src/tokenizer/chat-template.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { StreamDecoder } from '../../src/tokenizer/stream-decoder.js';

// What transformers and tokenizers made of the same files and texts: tools/oracle/make_text_fixtures.py.

type Json = Record<string, unknown>;

interface TokenizerFixture {
  readonly texts: readonly string[];
  readonly bases: Readonly<Record<string, Json>>;
  readonly variants: readonly {
    readonly name: string;
    readonly base: string;
    readonly changes: Json;
    readonly files: Readonly<Record<string, Json>>;
    readonly named: Readonly<Record<string, string>>;
    /** Hashes of ids, of ids without what is put around, and of both texts of the ids, by text. */
    readonly cases: readonly (readonly [string, string, string, string])[];
    readonly decoded: readonly (readonly [readonly number[], string])[];
  }[];
}

interface TemplateFixture {
  readonly variables: Json;
  readonly templates: readonly (readonly [string, string] | readonly [string, null, string])[];
}

function fixture<T>(name: string): T {
  const file = join(import.meta.dirname, '../../../test/fixtures/text', name);
  return JSON.parse(readFileSync(file, 'utf8')) as T;
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
}

function changed(base: Json, changes: Json): Json {
  const whole = structuredClone(base);
  for (const [key, value] of Object.entries(changes)) {
    if (key.startsWith('model.')) (whole.model as Json)[key.slice('model.'.length)] = value;
    else whole[key] = value;
  }
  return whole;
}

describe('text as Python has it: tokenizers', () => {
  const { texts, bases, variants } = fixture<TokenizerFixture>('tokenizers.json');
  for (const { name, base, changes, files, named, cases, decoded } of variants) {
    it(`${name} (${base})`, async () => {
      const tokenizer = new HfTokenizer({
        file: `${base}/tokenizer.json`,
        tokenizer: changed(bases[base] as Json, changes),
        config: files['tokenizer_config.json'],
        specialTokensMap: files['special_tokens_map.json'],
        addedTokens: files['added_tokens.json'],
      });
      expect(tokenizer.namedTokens).to.deep.equal(named);
      for (const [index, text] of texts.entries()) {
        const ids = await tokenizer.encodeAsync(text);
        const plain = await tokenizer.encodeAsync(text, { addSpecialTokens: false });
        const shown = tokenizer.decode(ids, { skipSpecialTokens: false });
        const found = [ids, plain, shown, tokenizer.decode(ids)];
        expect(found.map(digest), `${JSON.stringify(text)}: ${JSON.stringify(found)}`).to.deep.equal(
          cases[index],
        );
        const stream = new StreamDecoder(tokenizer);
        expect(ids.map((id) => stream.push(id)).join('') + stream.end()).to.equal(tokenizer.decode(ids));
      }
      for (const [ids, expected] of decoded) {
        const text = tokenizer.decode(ids, { skipSpecialTokens: false });
        expect(digest(text), `${ids}: ${JSON.stringify(text)}`).to.equal(expected);
      }
    });
  }
});

describe('text as Python has it: templates', () => {
  const { variables, templates } = fixture<TemplateFixture>('templates.json');
  const now = new Date(2024, 6, 6, 4, 5, 9, 120);
  for (const [source, expected] of templates) {
    it(JSON.stringify(source).slice(1, 100), () => {
      let text: string | null;
      try {
        text = new ChatTemplate(source, 'test').render(variables, undefined, now);
      } catch (error) {
        if (!(error instanceof AtbError)) throw error;
        text = null;
      }
      expect(text).to.equal(expected);
    });
  }
});
