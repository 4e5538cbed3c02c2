import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { errorOf } from './error-of.js';

// What the library `tiktoken` made of the same ranks and texts: tools/oracle/make_tiktoken_fixtures.py.

interface TiktokenFixture {
  readonly texts: readonly string[];
  /** Hashes of the ids, by `tokenizer_class` and text. */
  readonly classes: Readonly<Record<string, readonly string[]>>;
}

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/text');
const { texts, classes } = JSON.parse(
  readFileSync(join(FIXTURES, 'tiktoken.json'), 'utf8'),
) as TiktokenFixture;

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
}

describe('a tiktoken file without tokenizer.json', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'atb-tiktoken-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const write = (name: string, content: string): Promise<void> => writeFile(join(dir, name), content);
  async function load(name: string, config: object): Promise<HfTokenizer> {
    await copyFile(join(FIXTURES, 'small.tiktoken'), join(dir, name));
    await write('tokenizer_config.json', JSON.stringify(config));
    return HfTokenizer.load(dir);
  }

  for (const [name, expected] of Object.entries(classes)) {
    it(`gives the ids of tiktoken and the text back: ${name}`, async () => {
      const tokenizer = await load('any.tiktoken', { tokenizer_class: name });
      for (const [index, text] of texts.entries()) {
        const ids = await tokenizer.encodeAsync(text, { addSpecialTokens: false, parseSpecialTokens: false });
        expect(digest(ids), JSON.stringify(text)).to.equal(expected[index]);
        const normal = name === 'QWenTokenizer' ? text.normalize('NFC') : text;
        expect(tokenizer.decode(ids)).to.equal(normal);
      }
    });
  }

  it("has qwen's special tokens behind the ranks", async () => {
    const tokenizer = await load('qwen.tiktoken', { tokenizer_class: 'QWenTokenizer' });
    expect(tokenizer.encode('<|im_start|><|extra_204|>')).to.deep.equal([701, 907]);
    expect(tokenizer.vocabSize).to.equal(908);
    expect(tokenizer.isSpecial(700)).to.equal(true);
  });

  it('takes tokenizer.model and tiktoken.model for one as well, with the ids of added_tokens_decoder', async () => {
    const decoder = { 700: { content: '[BOS]' }, 701: { content: '[EOS]' }, 705: { content: '<|im_end|>' } };
    const config = {
      tokenizer_class: 'TikTokenTokenizer',
      added_tokens_decoder: decoder,
      eos_token: '[EOS]',
    };
    for (const name of ['tiktoken.model', 'tokenizer.model']) {
      const tokenizer = await load(name, config);
      expect(tokenizer.encode('[BOS]<|reserved_token_703|><|im_end|>')).to.deep.equal([700, 703, 705]);
      expect(tokenizer.eosTokenIds).to.deep.equal([701]);
    }
  });

  it("puts glm's prefix before a text", async () => {
    const decoder = Object.fromEntries(
      ['<|endoftext|>', '[MASK]', '[gMASK]', '[sMASK]', '<sop>'].map((content, index) => [
        700 + index,
        { content },
      ]),
    );
    const config = { tokenizer_class: 'ChatGLM4Tokenizer', added_tokens_decoder: decoder };
    const tokenizer = await load('tokenizer.model', config);
    const plain = tokenizer.encode('hello', { addSpecialTokens: false });
    expect(tokenizer.encode('hello')).to.deep.equal([702, 704, ...plain]);
  });

  it('says what to do when the class, and so the pattern, is not known', async () => {
    const { code, message } = await errorOf(() => load('hy.tiktoken', { tokenizer_class: 'HYTokenizer' }));
    expect(code).to.equal('TOKENIZER_MISSING');
    expect(message).to.match(
      /hy\.tiktoken has ranks only.*QWenTokenizer.*not for "HYTokenizer".*TikTokenConverter/,
    );
  });

  it('refuses malformed ranks by line', async () => {
    const config = { tokenizer_class: 'QWenTokenizer' };
    await write('tokenizer_config.json', JSON.stringify(config));
    const good = readFileSync(join(FIXTURES, 'small.tiktoken'), 'utf8');
    const cases: readonly (readonly [string, RegExp])[] = [
      [`${good}IQ== 700 x\n`, /line 701 is not "base64 rank"/],
      [`${good}ISEh 3\n`, /line 701 has the rank 3 of another/],
      [`${good}ISEh 9999999\n`, /has no rank 700/],
      [`${good}${Buffer.alloc(600).toString('base64')} 700\n`, /line 701 has a token of 600 bytes/],
      [good.replace(/^IQ== 0$/m, 'ISEhIQ== 0'), /has no token for the byte 33/],
      [`${good}IQ== 700\n`, /has a token twice/],
    ];
    for (const [content, expected] of cases) {
      await write('qwen.tiktoken', content);
      const { code, message } = await errorOf(() => HfTokenizer.load(dir));
      expect(code).to.equal('TOKENIZER_INVALID');
      expect(message).to.match(expected);
    }
  });
});
