import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { byteLevelJson } from './small-tokenizers.js';

interface PairCase {
  readonly tokenizer: string;
  readonly text: string;
  readonly pair: string | null;
  readonly max_length: number | null;
  readonly side: 'left' | 'right';
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

/** What transformers makes of texts and pairs (tools/oracle/make_pair_fixtures.py). */
const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/text/pairs.json');
const { tokenizers, cases } = JSON.parse(readFileSync(FIXTURES, 'utf8')) as {
  readonly tokenizers: Readonly<Record<string, { readonly tokenizer: object; readonly config: object }>>;
  readonly cases: readonly PairCase[];
};

describe('texts and pairs of texts', function () {
  this.timeout(60_000);
  for (const [name, { tokenizer, config }] of Object.entries(tokenizers)) {
    describe(`with the tokenizer of ${name}`, () => {
      let dir: string;
      before(() => {
        dir = mkdtempSync(join(tmpdir(), 'atb-pairs-'));
        writeFileSync(join(dir, 'tokenizer.json'), JSON.stringify(tokenizer));
        writeFileSync(join(dir, 'tokenizer_config.json'), JSON.stringify(config));
      });
      after(() => rmSync(dir, { recursive: true }));

      const own = cases.filter((one) => one.tokenizer === name);
      const settings = new Map(
        own.map(({ max_length: length, side }) => [`${length} ${side}`, { length, side }]),
      );
      for (const { length, side } of settings.values()) {
        const cut = length === null ? 'whole' : `cut to ${length} tokens at the ${side}`;
        it(`get transformers' ids and types, ${cut}`, async () => {
          const options = length === null ? {} : { truncation: { maxLength: length, side } };
          const loaded = await HfTokenizer.load(dir, options);
          for (const one of own.filter(({ max_length, side: at }) => max_length === length && at === side)) {
            const found = await loaded.encodeTyped(one.text, one.pair ?? undefined);
            const [ids, types] = [[...found.tokenIds], [...found.tokenTypes]];
            expect({ text: one.text, pair: one.pair, ids, types }).to.deep.equal({
              text: one.text,
              pair: one.pair,
              ids: one.ids,
              types: one.types,
            });
          }
        });
      }
    });
  }

  it('have types of their own where no file says what stands around them, as in transformers', async () => {
    const json = { ...byteLevelJson(), post_processor: null };
    const { tokenIds, tokenTypes } = await new HfTokenizer({
      file: 'x/tokenizer.json',
      tokenizer: json,
    }).encodeTyped('hello', 'he');
    expect([...tokenIds].length).to.equal(2);
    expect([...tokenTypes]).to.deep.equal([0, 1]);
  });

  it('are lowercased first where that is wanted', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'atb-pairs-'));
    try {
      writeFileSync(join(dir, 'tokenizer.json'), JSON.stringify(tokenizers.roberta?.tokenizer));
      writeFileSync(join(dir, 'tokenizer_config.json'), JSON.stringify(tokenizers.roberta?.config));
      const lower = await HfTokenizer.load(dir, { lowercase: true });
      const asItIs = await HfTokenizer.load(dir);
      const expected = await asItIs.encodeTyped('the dog', 'über');
      expect(await lower.encodeTyped('The DOG', 'ÜBER')).to.deep.equal(expected);
      expect(await asItIs.encodeTyped('The DOG', 'ÜBER')).to.not.deep.equal(expected);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
