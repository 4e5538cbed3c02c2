import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { Tokenizer } from 'tokenizers';
import { AtbError } from '../../src/errors.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { StreamDecoder } from '../../src/tokenizer/stream-decoder.js';
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

  it('numbers added tokens as the library does, and says where the file has it otherwise', () => {
    const json = byteLevelJson() as { added_tokens: Json[]; model: { vocab: Record<string, number> } };
    const size = Object.keys(json.model.vocab).length;
    const token = { ...(json.added_tokens[0] as Json), special: false };
    json.added_tokens = [
      { ...token, id: 7, content: 'hello' },
      { ...token, id: size, content: '<a>' },
      { ...token, id: size, content: '<b>' },
      { ...token, id: 0, content: '' },
    ];
    const tokenizer = new HfTokenizer({ file: 'tokenizer.json', tokenizer: json });
    const hello = json.model.vocab.hello as number;
    expect(tokenizer.encode('hello<a><b>')).to.deep.equal([hello, size, size + 1]);
    expect(tokenizer.decode([hello, size, size + 1])).to.equal('hello<a><b>');
    expect(tokenizer.warnings).to.have.length(1);
    expect(tokenizer.warnings[0]).to.match(
      new RegExp(`"hello" has the id ${hello}, not 7 as its added_tokens say, and 1 more are`),
    );
    expect(byteLevel().warnings).to.deep.equal([]);
  });

  it('leaves out no merges at random, as for training', () => {
    const json = byteLevelJson() as { model: Json };
    json.model = { ...json.model, dropout: 0.9, ignore_merges: false };
    const tokenizer = new HfTokenizer({ file: 'tokenizer.json', tokenizer: json });
    expect(tokenizer.encode('hello world')).to.deep.equal(byteLevel().encode('hello world'));
  });

  describe('with what tokenizer_config.json says otherwise', () => {
    // Ids of transformers 5.24, AutoTokenizer, without what is put around the text.
    const plain = { addSpecialTokens: false };
    const gpt2 = (config: Json) => {
      const json = byteLevelJson();
      json.pre_tokenizer = {
        type: 'ByteLevel',
        add_prefix_space: false,
        trim_offsets: true,
        use_regex: true,
      };
      return new HfTokenizer({ file: 'tokenizer.json', tokenizer: json, config });
    };

    it('puts a blank before a text, if its class heeds add_prefix_space', () => {
      const before = gpt2({}).encode(' world', plain);
      const heeding = gpt2({ tokenizer_class: 'GPT2Tokenizer', add_prefix_space: true });
      expect(heeding.encode('world', plain)).to.deep.equal(before);
      const plainClass = gpt2({ tokenizer_class: 'PreTrainedTokenizerFast', add_prefix_space: true });
      expect(plainClass.encode('world', plain)).not.to.deep.equal(before);
    });

    it('puts a blank before each word that is cut off, as the classes do that cut before they make bytes', () => {
      const config = { tokenizer_class: 'Qwen2TokenizerFast', add_prefix_space: true };
      const words = byteLevel(config).encode('a1 b', plain);
      expect(words).to.deep.equal(
        [32, 97, 32, 49, 32, 98].map((byte) => byteLevel().encode(String.fromCharCode(byte), plain)[0]),
      );
    });

    it('puts the mark of XLM-RoBERTa before a text, or does not, as add_prefix_space says', () => {
      const json = llama2Json(true) as { pre_tokenizer: Json; model: { vocab: Record<string, number> } };
      json.pre_tokenizer = {
        type: 'Sequence',
        pretokenizers: [{ type: 'WhitespaceSplit' }, json.pre_tokenizer],
      };
      const { h, e, ll, o, '▁world': world } = json.model.vocab;
      const ids = (isMarked: boolean) => {
        const config = { tokenizer_class: 'XLMRobertaTokenizer', add_prefix_space: isMarked };
        return new HfTokenizer({ file: 'tokenizer.json', tokenizer: json, config }).encode(
          'hello world',
          plain,
        );
      };
      expect(ids(false).slice(0, 4)).to.deep.equal([h, e, ll, o]);
      expect(ids(true)).to.include(world as number);
      expect(ids(false)).not.to.include(world as number);
    });

    it("puts no mark before a Llama's text where add_prefix_space is false, and drops no blank", () => {
      for (const isMetaspace of [false, true]) {
        const json = llama2Json(isMetaspace) as { model: { vocab: Record<string, number> } };
        const config = { tokenizer_class: 'LlamaTokenizerFast', add_prefix_space: false };
        const tokenizer = new HfTokenizer({ file: 'tokenizer.json', tokenizer: json, config });
        const { h, e, ll, o, '▁world': world } = json.model.vocab;
        const ids = [h, e, ll, o, world] as number[];
        expect(tokenizer.encode('hello world', plain)).to.deep.equal(ids);
        expect(tokenizer.decode([world as number])).to.equal(' world');
      }
    });

    it('takes control tokens as text where split_special_tokens says so', () => {
      const tokenizer = new HfTokenizer({
        file: 'tokenizer.json',
        tokenizer: byteLevelJson(),
        config: { split_special_tokens: true },
      });
      const whole = byteLevel().encode('<|im_end|>', { parseSpecialTokens: false });
      expect(tokenizer.encode('<|im_end|>')).to.deep.equal(whole);
    });

    it("heeds BERT's flags", () => {
      const vocab = Object.fromEntries(
        ['[UNK]', 'hello', 'Hello', 'é', 'e', '中文'].map((word, id) => [word, id]),
      );
      const ids = (config: Json) =>
        new HfTokenizer({
          file: 'tokenizer.json',
          tokenizer: {
            model: {
              type: 'WordPiece',
              vocab,
              unk_token: '[UNK]',
              max_input_chars_per_word: 100,
              continuing_subword_prefix: '##',
            },
            normalizer: {
              type: 'BertNormalizer',
              clean_text: true,
              handle_chinese_chars: true,
              strip_accents: null,
              lowercase: true,
            },
            pre_tokenizer: { type: 'BertPreTokenizer' },
          },
          config: { tokenizer_class: 'BertTokenizer', ...config },
        }).encode('Hello é 中文', plain);
      expect(ids({})).to.deep.equal([1, 4, 0, 0]);
      expect(ids({ do_lower_case: false })).to.deep.equal([2, 3, 0, 0]);
      expect(ids({ strip_accents: false })).to.deep.equal([1, 3, 0, 0]);
      expect(ids({ tokenize_chinese_chars: false })).to.deep.equal([1, 4, 5]);
      expect(ids({ tokenizer_class: 'PreTrainedTokenizerFast', do_lower_case: false })).to.deep.equal([
        1, 4, 0, 0,
      ]);
    });
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
      /merges\.txt are read where tokenizer_class .* is one of GPT2Tokenizer/,
    );
    await write('tokenizer.model', Uint8Array.of(10, 255, 0));
    expect((await errorOf(() => HfTokenizer.load(dir))).message).to.match(
      /tokenizer\.model: is not a SentencePiece model: a field reaches beyond its end/,
    );
  });

  it('writes added tokens as the normaliser makes them, as the library does', async () => {
    const json = llama2Json() as { added_tokens: Json[]; model: { vocab: Record<string, number> } };
    const size = Object.keys(json.model.vocab).length;
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: true };
    json.added_tokens.push(
      { id: size, content: '<think>', special: false, ...flags },
      { id: size + 1, content: '<|im_end|>', special: true, ...flags },
    );
    await write('tokenizer.json', JSON.stringify(json));
    const tokenizer = await HfTokenizer.load(dir);
    const o = json.model.vocab.o as number;
    // tokenizers 0.23.3, which tells by the text that it writes what it leaves out: so not the special one here.
    const ids = [o, size, o, size + 1];
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).to.equal('o <think>o <|im_end|>');
    expect(tokenizer.decode(ids)).to.equal('o <think>o <|im_end|>');
    const stream = new StreamDecoder(tokenizer);
    expect(ids.map((id) => stream.push(id)).join('') + stream.end()).to.equal('o <think>o <|im_end|>');
    expect(tokenizer.tokenToId('<think>')).to.equal(size);
  });

  it('reads numbers as Python writes them', async () => {
    await write('tokenizer.json', JSON.stringify(byteLevelJson()));
    await write('tokenizer_config.json', '{"model_max_length": Infinity, "x": [NaN, -Infinity], "y": "NaN"}');
    const { config } = await HfTokenizer.load(dir);
    expect(config).to.deep.include({ model_max_length: Number.POSITIVE_INFINITY, y: 'NaN' });
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
