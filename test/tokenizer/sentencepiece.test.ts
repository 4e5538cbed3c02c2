import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { StreamDecoder } from '../../src/tokenizer/stream-decoder.js';

// What the library `sentencepiece` made of the same models and texts: tools/oracle/make_sentencepiece_fixtures.py.

interface SentencePieceFixture {
  readonly texts: readonly string[];
  readonly models: readonly {
    readonly name: string;
    readonly file: string;
    /** Hashes of the ids and of their text, by text; no text where an id is unknown. */
    readonly cases: readonly (readonly [string, string | null])[];
  }[];
}

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/text');
const { texts, models } = JSON.parse(
  readFileSync(join(FIXTURES, 'sentencepiece.json'), 'utf8'),
) as SentencePieceFixture;

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
}

describe('a tokenizer.model without tokenizer.json', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'atb-sentencepiece-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  for (const { name, file, cases } of models) {
    it(`gives the ids and texts of sentencepiece: ${name}`, async () => {
      await copyFile(join(FIXTURES, file), join(dir, 'tokenizer.model'));
      const tokenizer = await HfTokenizer.load(dir);
      const wrong: unknown[] = [];
      for (const [index, text] of texts.entries()) {
        const ids = await tokenizer.encodeAsync(text, { addSpecialTokens: false, parseSpecialTokens: false });
        const [expectedIds, expectedText] = cases[index] ?? [];
        const decoded = tokenizer.decode(ids);
        if (digest(ids) !== expectedIds) wrong.push([text, ids.map((id) => tokenizer.idToToken(id))]);
        else if (expectedText !== null && digest(decoded) !== expectedText) wrong.push([text, decoded]);
        const stream = new StreamDecoder(tokenizer);
        expect(ids.map((id) => stream.push(id)).join('') + stream.end()).to.equal(decoded);
      }
      expect(wrong).to.deep.equal([]);
    });
  }
});
