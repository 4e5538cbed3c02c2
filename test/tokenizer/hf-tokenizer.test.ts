import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { Tokenizer } from 'tokenizers';
import { AtbError } from '../../src/errors.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { errorOf } from './error-of.js';
import {
  BYTE_LEVEL_CONFIG,
  byteLevel,
  byteLevelJson,
  type Json,
  LLAMA2_CONFIG,
  llama2,
  llama2Json,
} from './small-tokenizers.js';

const ALL: Array<[string, HfTokenizer, Json]> = [
  ['byte-level BPE', byteLevel(), byteLevelJson()],
  ['Llama 2 with a normaliser', llama2(), llama2Json()],
  ['Llama 2 with Metaspace', llama2(true), llama2Json(true)],
];

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc
    .array(
      fc.constantFrom(
        'hello',
        ' ',
        '  ',
        'world',
        '\n',
        'é',
        '日本',
        '😀',
        "'s",
        '12',
        '<s>',
        '<|im_end|>',
        '<think>',
        '▁',
        '.',
      ),
      { maxLength: 12 },
    )
    .map((words) => words.join('')),
);

for (const [name, tokenizer, json] of ALL) {
  describe(`HfTokenizer with ${name}`, () => {
    it('gives the ids and the texts that the library gives', async () => {
      const original = Tokenizer.fromString(JSON.stringify(json));
      await fc.assert(
        fc.asyncProperty(text, fc.boolean(), async (input, addSpecialTokens) => {
          const expected = (await original.encode(input, null, { addSpecialTokens })).getIds();
          const found = await tokenizer.encodeAsync(input, { addSpecialTokens });
          if (found.join() !== expected.join()) throw new Error(`${found} is not ${expected}`);
          const decoded = tokenizer.decode(expected, { skipSpecialTokens: false });
          if (decoded !== (await original.decode(expected, false))) throw new Error(JSON.stringify(decoded));
        }),
        { numRuns: 1000, seed: 31 },
      );
    });

    it('gives the same ids to a caller that waits', () => {
      fc.assert(
        fc.property(text, (input) => {
          const original = Tokenizer.fromString(JSON.stringify(json));
          if (tokenizer.encode(input).some((id) => original.idToToken(id) === null))
            throw new Error('no token');
        }),
        { numRuns: 20, seed: 30 },
      );
      expect(tokenizer.encode('hello world')).to.have.length.within(2, 5);
    });

    it('never reads a control token out of mere text', async () => {
      await fc.assert(
        fc.asyncProperty(text, async (input) => {
          const options = { addSpecialTokens: false, parseSpecialTokens: false };
          const ids = await tokenizer.encodeAsync(input, options);
          const unknown = tokenizer.unkTokenId;
          if (ids.some((id) => tokenizer.isSpecial(id) && id !== unknown))
            throw new Error(`special in ${ids}`);
          const marked = await tokenizer.encodeMarkedAsync(tokenizer.markSpecials(input, '\uFDD0'), '\uFDD0');
          if (marked.some((id) => tokenizer.isSpecial(id) && id !== unknown))
            throw new Error(`special in ${marked}`);
        }),
        { numRuns: 1000, seed: 32 },
      );
    });

    it('gets through a long run of equal characters within the time that a text has', async () => {
      // Quadratic work would be a thousand times what 25 s allow for.
      const ids = await tokenizer.encodeAsync('a'.repeat(400_000), { addSpecialTokens: false });
      expect(tokenizer.decode(ids)).to.equal('a'.repeat(400_000));
    }).timeout(60_000);
  });
}

describe('HfTokenizer', () => {
  const tokenizer = byteLevel();

  it('round-trips any text byte by byte', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 50 }), async (input) => {
        const back = tokenizer.decode(await tokenizer.encodeAsync(input, { parseSpecialTokens: false }));
        if (back !== input.normalize('NFC'))
          throw new Error(`${JSON.stringify(back)} is not ${JSON.stringify(input)}`);
      }),
      { numRuns: 1000, seed: 33 },
    );
  });

  it('puts a BOS before a text when asked to', () => {
    const llama = llama2();
    expect(llama.encode('hello')[0]).to.equal(1);
    expect(llama.encode('hello', { addSpecialTokens: false })).to.deep.equal(llama.encode('hello').slice(1));
    expect(llama.bosTokenId).to.equal(1);
  });

  it('does not clean up spaces', () => {
    const input = "a , b . do n't !";
    expect(tokenizer.decode(tokenizer.encode(input))).to.equal(input);
  });

  it('decodes nothing to nothing, and ids without a token to nothing', () => {
    expect(tokenizer.decode([])).to.equal('');
    expect(tokenizer.decode([tokenizer.vocabSize, 1e9, -1])).to.equal('');
  });

  it('leaves special tokens out or shows them', () => {
    const ids = tokenizer.encode('<|im_start|>hello<think><|im_end|>');
    expect(ids).to.have.length(4);
    expect(tokenizer.decode(ids)).to.equal('hello<think>');
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).to.equal(
      '<|im_start|>hello<think><|im_end|>',
    );
  });

  it('takes lone surrogates and U+0000 as characters', () => {
    expect(tokenizer.decode(tokenizer.encode('a\uD800b\u0000'))).to.equal('a\uFFFDb\u0000');
  });

  it('knows its end tokens from tokenizer_config.json and from what it is given', () => {
    const end = tokenizer.tokenToId('<|im_end|>') as number;
    expect(tokenizer.eosTokenIds).to.deep.equal([end]);
    expect(byteLevel(BYTE_LEVEL_CONFIG, { eosTokenIds: [5, end] }).eosTokenIds).to.deep.equal([end, 5]);
    expect(byteLevel({}, { eosTokenIds: [7] }).eosTokenIds).to.deep.equal([7]);
    expect(tokenizer.padTokenId).to.equal(tokenizer.tokenToId('<|endoftext|>'));
    expect(tokenizer.namedTokens).to.deep.equal({ eos_token: '<|im_end|>', pad_token: '<|endoftext|>' });
  });

  it('spells a control token that its own merges would make of plain text', () => {
    const llama = llama2();
    expect(llama.encode('<s>', { addSpecialTokens: false })).to.deep.equal([1]);
    const plain = llama.encode('a<s>', { addSpecialTokens: false, parseSpecialTokens: false });
    expect(llama.decode(plain)).to.equal('a<s>');
    expect(plain).not.to.include(1);
  });

  it('reads Unigram and WordPiece models too', () => {
    const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
    const load = (json: Json): HfTokenizer =>
      new HfTokenizer({ file: 'f.json', tokenizer: { ...none, ...json } });
    const unigram = load({
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
      decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
      model: {
        type: 'Unigram',
        unk_id: 0,
        vocab: [
          ['<unk>', 0],
          ['▁', -3],
          ['▁a', -2],
          ['b', -4],
          ['▁ab', -5],
        ],
      },
    });
    expect(unigram.encode('ab b')).to.deep.equal([4, 1, 3]);
    expect(unigram.decode([4, 1, 3])).to.equal('ab b');
    // Without a token for what the vocabulary lacks, there is no text to fall back to, nor an id.
    const closed = load({ model: { type: 'Unigram', unk_id: null, vocab: [['a', -1]] } });
    expect(closed.encode('aa')).to.deep.equal([0, 0]);
    expect(() => closed.encode('axa'))
      .to.throw(AtbError, /unk_id/)
      .with.property('code', 'TOKENIZER_INVALID');
    const wordPiece = load({
      pre_tokenizer: { type: 'Whitespace' },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: { '[UNK]': 0, run: 1, '##ning': 2 },
      },
    });
    expect(wordPiece.encode('running run walk')).to.deep.equal([1, 2, 1, 0]);
    expect(wordPiece.decode([1, 2, 1])).to.equal('running run');
  });

  it('refuses a text of more than four million characters', async () => {
    expect((await errorOf(() => tokenizer.encode('a'.repeat(4 * 2 ** 20 + 1)))).code).to.equal(
      'REQUEST_INVALID',
    );
    expect((await errorOf(() => tokenizer.encode(5 as unknown as string))).code).to.equal('REQUEST_INVALID');
  });
});

describe('HfTokenizer.load', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tokenizer-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const write = (name: string, content: string | Uint8Array): Promise<void> =>
    writeFile(join(dir, name), content);

  it('reads tokenizer.json and tokenizer_config.json', async () => {
    await write('tokenizer.json', JSON.stringify(llama2Json()));
    await write('tokenizer_config.json', JSON.stringify(LLAMA2_CONFIG));
    const loaded = await HfTokenizer.load(dir);
    expect(loaded.encode('hello world')).to.deep.equal(llama2().encode('hello world'));
    expect(loaded.eosTokenIds).to.deep.equal([2]);
  });

  it('does without tokenizer_config.json', async () => {
    await write('tokenizer.json', JSON.stringify(llama2Json()));
    expect((await HfTokenizer.load(dir, { eosTokenIds: [2] })).eosTokenIds).to.deep.equal([2]);
  });

  it('says what to do when there is no tokenizer.json', async () => {
    const missing = await errorOf(() => HfTokenizer.load(dir));
    expect([missing.code, missing.message]).to.satisfy(
      ([code, message]: [string, string]) =>
        code === 'TOKENIZER_MISSING' && /copy it from where the checkpoint comes from/.test(message),
    );
    await write('merges.txt', Uint8Array.of(10, 255, 0));
    expect((await errorOf(() => HfTokenizer.load(dir))).message).to.match(
      /merges\.txt must be converted first/,
    );
    await write('tokenizer.model', Uint8Array.of(10, 255, 0));
    expect((await errorOf(() => HfTokenizer.load(dir))).message).to.match(
      /tokenizer\.model: is not a SentencePiece model: a field reaches beyond its end/,
    );
  });

  it('refuses what is no readable JSON text, by name', async () => {
    await write('tokenizer.json', '{"model": ');
    expect((await errorOf(() => HfTokenizer.load(dir))).message).to.match(/tokenizer\.json: is not JSON/);
    await write('tokenizer.json', Uint8Array.of(0x22, 0xff, 0x22));
    expect((await errorOf(() => HfTokenizer.load(dir))).message).to.match(/tokenizer\.json: is not UTF-8/);
    await write('tokenizer.json', 'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 7031645\n');
    expect((await errorOf(() => HfTokenizer.load(dir))).code).to.equal('WEIGHT_FILE_LFS_POINTER');
    await write('tokenizer.json', `{${'"a":1,'.repeat(2 ** 21 + 1)}"b":2}`);
    expect((await errorOf(() => HfTokenizer.load(dir))).message).to.match(/has more than 2097152 members/);
    await truncate(join(dir, 'tokenizer.json'), 100 * 2 ** 20);
    expect((await errorOf(() => HfTokenizer.load(dir))).message).to.match(
      /has 104857600 bytes, at most 67108864/,
    );
    await rm(join(dir, 'tokenizer.json'));
    await mkdir(join(dir, 'tokenizer.json'));
    expect((await errorOf(() => HfTokenizer.load(dir))).code).to.equal('WEIGHT_FILE_NOT_REGULAR');
  });
});
