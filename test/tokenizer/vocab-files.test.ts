import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { BYTE_OF_CHARACTER } from '../../src/tokenizer/byte-level.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { errorOf } from './error-of.js';
import { byteLevelJson, type Json, LLAMA3_PATTERN } from './small-tokenizers.js';

const TEXTS = ['hello world', ' hello  world\n\n12 <|endoftext|></s><mask>', 'e\u0301', 'Hello world é中!'];

/** Names of added tokens, tokenizer_config.json, ids of the texts and of a pair: transformers 5.24. */
const CASES: Readonly<
  Record<string, readonly [readonly string[], Json, readonly number[][], readonly number[]]>
> = {
  GPT2Tokenizer: [
    ['<|endoftext|>'],
    {},
    [
      [259, 264],
      [32, 259, 32, 264, 10, 10, 49, 50, 32, 271, 60, 47, 115, 62, 60, 109, 97, 115, 107, 62],
      [101, 204, 129],
      [72, 101, 257, 111, 264, 32, 195, 169, 228, 184, 173, 33],
    ],
    [259, 119, 261, 108, 100],
  ],
  "GPT2Tokenizer with OPT's tokens": [
    ['<s>', '<pad>', '</s>', '<unk>'],
    {
      tokenizer_class: 'GPT2Tokenizer',
      add_bos_token: true,
      bos_token: '</s>',
      eos_token: '</s>',
    },
    [
      [273, 259, 264],
      [
        // The name that the class has for what is unknown is in no file, and becomes a token behind them.
        273, 32, 259, 32, 264, 10, 10, 49, 50, 32, 275, 273, 60, 109, 97, 115, 107, 62,
      ],
      [273, 101, 204, 129],
      [273, 72, 101, 257, 111, 264, 32, 195, 169, 228, 184, 173, 33],
    ],
    [273, 259, 273, 119, 261, 108, 100],
  ],
  Qwen2Tokenizer: [
    ['<|endoftext|>', '<|im_start|>'],
    {},
    [
      [259, 264],
      [32, 259, 32, 264, 10, 10, 49, 50, 32, 271, 60, 47, 115, 62, 60, 109, 97, 115, 107, 62],
      [195, 169],
      [72, 101, 257, 111, 264, 32, 195, 169, 228, 184, 173, 33],
    ],
    [259, 119, 261, 108, 100],
  ],
  RobertaTokenizerFast: [
    ['<s>', '<pad>', '</s>', '<unk>', '<mask>'],
    { add_prefix_space: true },
    [
      [271, 32, 259, 264, 273],
      [
        271, 32, 259, 32, 264, 10, 10, 49, 50, 32, 60, 124, 101, 110, 100, 111, 102, 116, 101, 120, 116, 124,
        62, 273, 275, 273,
      ],
      [271, 32, 101, 204, 129, 273],
      [271, 32, 72, 101, 257, 111, 264, 32, 195, 169, 228, 184, 173, 33, 273],
    ],
    [271, 32, 259, 273, 273, 264, 273],
  ],
  "DebertaTokenizer, by the word of Microsoft's files": [
    ['[PAD]', '[CLS]', '[SEP]', '[UNK]', '[MASK]'],
    { tokenizer_class: undefined, vocab_type: 'gpt2' },
    [
      [272, 259, 264, 273],
      [
        272, 32, 259, 32, 264, 10, 10, 49, 50, 32, 60, 124, 101, 110, 100, 111, 102, 116, 101, 120, 116, 124,
        62, 60, 47, 115, 62, 60, 109, 97, 115, 107, 62, 273,
      ],
      [272, 101, 204, 129, 273],
      [272, 72, 101, 257, 111, 264, 32, 195, 169, 228, 184, 173, 33, 273],
    ],
    [272, 259, 273, 273, 119, 261, 108, 100, 273],
  ],
};

describe('a tokenizer without tokenizer.json', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'vocab-'));
  });
  afterEach(() => rm(dir, { recursive: true }));
  const config = (value: Json) => writeFile(join(dir, 'tokenizer_config.json'), JSON.stringify(value));

  async function writeVocab(names: readonly string[]): Promise<void> {
    const { vocab, merges } = byteLevelJson().model as { vocab: Record<string, number>; merges: string[] };
    for (const name of names) vocab[name] = Object.keys(vocab).length;
    await writeFile(join(dir, 'vocab.json'), JSON.stringify(vocab));
    await writeFile(join(dir, 'merges.txt'), `#version: 0.2\n${merges.join('\n')}\n`);
  }

  for (const [title, [names, given, expected, pair]] of Object.entries(CASES)) {
    it(`is read from vocab.json and merges.txt: ${title}`, async () => {
      await writeVocab(names);
      await config({ tokenizer_class: title, ...given });
      const tokenizer = await HfTokenizer.load(dir);
      expect(TEXTS.map((text) => tokenizer.encode(text))).to.deep.equal(expected);
      expect([...(await tokenizer.encodeTyped('hello', 'world')).tokenIds]).to.deep.equal(pair);
      expect(tokenizer.decode(expected[3] as number[]).trimStart()).to.equal(TEXTS[3]);
    });
  }

  it('puts tokens around a text that other files add to its vocabulary, as transformers does', async () => {
    await writeVocab([]);
    await config({
      tokenizer_class: 'GPT2Tokenizer',
      add_bos_token: true,
      bos_token: '<s>',
      unk_token: '<s>',
    });
    await writeFile(join(dir, 'added_tokens.json'), JSON.stringify({ '<s>': 271 }));
    const found = await (await HfTokenizer.load(dir)).encodeTyped('hello', 'hello');
    expect([[...found.tokenIds], [...found.tokenTypes]]).to.deep.equal([
      [271, 259, 271, 259],
      [0, 0, 1, 1],
    ]);
  });

  it("is read from BERT's vocab.txt", async () => {
    const tokens = [
      '[PAD]',
      '[UNK]',
      '[CLS]',
      '[SEP]',
      '[MASK]',
      'hello',
      'wor',
      '##ld',
      'é',
      'e',
      '中',
      '!',
      'Hello',
    ];
    await writeFile(join(dir, 'vocab.txt'), `${tokens.join('\r\n')}\r\n`);
    await config({ do_lower_case: true });
    const tokenizer = await HfTokenizer.load(dir);
    expect(tokenizer.encode(TEXTS[3] as string)).to.deep.equal([2, 5, 6, 7, 9, 10, 11, 3]);
    const { tokenIds, tokenTypes } = await tokenizer.encodeTyped('hello', 'world');
    expect([[...tokenIds], [...tokenTypes]]).to.deep.equal([
      [2, 5, 3, 6, 7, 3],
      [0, 0, 0, 1, 1, 1],
    ]);
    expect(tokenizer.padTokenId).to.equal(0);
    await config({ tokenizer_class: 'BertTokenizer', do_lower_case: false });
    expect((await HfTokenizer.load(dir)).encode('Hello é')).to.deep.equal([2, 12, 8, 3]);
    await writeFile(join(dir, 'vocab.txt'), '[UNK]\n[CLS]\n');
    const error = await errorOf(() => HfTokenizer.load(dir));
    expect(error.message).to.match(
      /TOKENIZER_INVALID: .*vocab\.txt: must have the tokens \[CLS\], \[SEP\], \[UNK\]$/,
    );
  });

  // Texts, then a pair; transformers 5.24 with files of these tokens and classes.
  const WORDS = ['hello', 'world', '##s', 'caf', '##e', '##é', 'é', '!', '中', 'hell', 'Hello'];
  const SIGNS = ['<', 'mask', '>', 'cls', '[', ']', 'a'];
  const BERT_TOKENS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...WORDS, ...SIGNS];
  const MPNET_TOKENS = ['<s>', '<pad>', '</s>', '<unk>', '[UNK]', ...WORDS, ...SIGNS, '<mask>'];
  const WORD_PIECES = ['hello worlds', 'Hello café!', 'a <mask> [CLS] 中 zzz'];
  const OF_BERT = [
    [2, 5, 6, 7, 3],
    [2, 5, 8, 9, 12, 3],
    [2, 22, 16, 17, 18, 2, 13, 1, 3],
    [2, 5, 3, 6, 3],
  ];
  const OF_MPNET = [
    [0, 5, 6, 7, 2],
    [0, 5, 8, 9, 12, 2],
    [0, 22, 23, 20, 19, 21, 13, 4, 2],
    [0, 5, 2, 2, 6, 2],
  ];
  const CASED = [
    [0, 5, 6, 7, 2],
    [0, 15, 8, 10, 12, 2],
    [0, 22, 23, 20, 4, 21, 13, 4, 2],
    [0, 5, 2, 2, 6, 2],
  ];
  for (const [title, tokens, given, expected] of [
    ['DistilBertTokenizer', BERT_TOKENS, {}, OF_BERT],
    ['ElectraTokenizerFast', BERT_TOKENS, {}, OF_BERT],
    ['MPNetTokenizer', MPNET_TOKENS, {}, OF_MPNET],
    ['MPNetTokenizer', MPNET_TOKENS, { do_lower_case: false }, CASED],
    ['no class', MPNET_TOKENS, { tokenizer_class: undefined, model_max_length: 512 }, OF_MPNET],
  ] as const)
    it(`is read from vocab.txt: ${title}, ${JSON.stringify(given)}`, async () => {
      await writeFile(join(dir, 'vocab.txt'), `${tokens.join('\n')}\n`);
      await config({ tokenizer_class: title, ...given });
      const tokenizer = await HfTokenizer.load(dir);
      const pair = await tokenizer.encodeTyped('hello', 'world');
      const found = [...WORD_PIECES.map((text) => tokenizer.encode(text)), [...pair.tokenIds]];
      expect(found).to.deep.equal(expected);
      expect(tokenizer.padTokenId).to.equal(tokens === BERT_TOKENS ? 0 : 1);
    });

  it('is read from vocab.txt: EsmTokenizer, whose tokens are found anywhere', async () => {
    const tokens =
      '<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>';
    await writeFile(join(dir, 'vocab.txt'), tokens.replaceAll(' ', '\n'));
    await config({ tokenizer_class: 'EsmTokenizer' });
    const tokenizer = await HfTokenizer.load(dir);
    // transformers 5.24 with a file of these tokens.
    for (const [text, ids] of [
      ['MKTVRQ', [0, 20, 15, 11, 7, 10, 16, 2]],
      ['M K <mask>T V', [0, 20, 15, 32, 11, 7, 2]],
      ['MJKq lA', [0, 20, 3, 15, 3, 3, 5, 2]],
      ['', [0, 2]],
      ['mkt\n A<pad>G.', [0, 3, 5, 1, 6, 29, 2]],
    ] as const)
      expect(tokenizer.encode(text), text).to.deep.equal(ids);
    const pair = await tokenizer.encodeTyped('MK', 'TV');
    expect([...pair.tokenIds]).to.deep.equal([0, 20, 15, 2, 11, 7, 2]);
    expect(tokenizer.padTokenId).to.equal(1);
  });

  describe("of Mistral's tekken.json", () => {
    const { vocab } = byteLevelJson().model as { vocab: Record<string, number> };
    const bytes = (token: string) =>
      Buffer.from(Array.from(token, (c) => BYTE_OF_CHARACTER.get(c) as number));
    const rows = [...Object.keys(vocab).map(bytes), Buffer.from('zz')];
    const names = ['<unk>', '<s>', '</s>', '[INST]', '[/INST]', '<pad>'];
    const tekken = {
      // Room for all tokens but the last.
      config: { pattern: LLAMA3_PATTERN, default_vocab_size: rows.length + 7, default_num_special_tokens: 8 },
      vocab: rows.map((token, rank) => ({ rank, token_bytes: token.toString('base64') })),
      special_tokens: names.map((token_str, rank) => ({ rank, token_str, is_control: true })),
    };
    const load = async (changes: object = {}) => {
      await writeFile(join(dir, 'tekken.json'), JSON.stringify({ ...tekken, ...changes }));
      return HfTokenizer.load(dir);
    };

    it('has the ids of transformers, and a BOS before a text as mistral-common has it', async () => {
      const tokenizer = await load();
      // transformers 5.24, MistralConverter(…).converted().
      const text = '<s>[INST]hello[/INST]</s><SPECIAL_7>zz';
      expect(tokenizer.encode(text, { addSpecialTokens: false })).to.deep.equal([
        1, 3, 267, 4, 2, 7, 130, 130,
      ]);
      const ids = [1, 278, 238, 164, 180, 50, 203, 177, 50, 276, 160, 136];
      expect(tokenizer.encode('日本 é 😀')).to.deep.equal(ids);
      expect(tokenizer.decode(ids)).to.equal('日本 é 😀');
      expect(tokenizer.eosTokenIds).to.deep.equal([2]);
      expect([tokenizer.bosTokenId, tokenizer.padTokenId, tokenizer.vocabSize]).to.deep.equal([1, 5, 279]);
      await config({ add_bos_token: false });
      expect((await load()).encode('hello world')).to.deep.equal([267, 272]);
    });

    for (const [title, changes, says] of [
      [
        'without special tokens',
        { special_tokens: undefined },
        /has no special_tokens.* take a tokenizer\.json/,
      ],
      ['with a rank that is left out', { special_tokens: tekken.special_tokens.slice(1) }, /ranks from 0 on/],
      ['without a pattern', { config: {} }, /config\.pattern must be/],
      ['with tokens without bytes', { vocab: [{}] }, /vocab\[0\] has no token_bytes/],
      ['with a token twice', { vocab: [tekken.vocab[0], tekken.vocab[0]] }, /vocab has a token twice/],
    ] as const) {
      it(`is refused ${title}`, async () => {
        const error = await errorOf(() => load(changes));
        expect(error.code).to.equal('TOKENIZER_INVALID');
        expect(error.message).to.match(says);
      });
    }
  });

  it("is refused for RoFormer's own class, which cuts words by jieba", async () => {
    await writeFile(join(dir, 'vocab.txt'), '[PAD]\n[UNK]\n[CLS]\n[SEP]\n');
    const { RoFormerRouter } = await import('../../src/models/roformer/index.js');
    const load = () => new RoFormerRouter(dir, { model_type: 'roformer' }).getTokenizer({ eosTokenIds: [] });
    await config({ tokenizer_class: 'RoFormerTokenizer' });
    expect((await errorOf(load)).message).to.match(
      /found RoFormerTokenizer: .* by jieba, which is not built/,
    );
    await config({ tokenizer_class: 'BertTokenizer' });
    expect((await load()).encode('a')).to.deep.equal([2, 1, 3]);
  });

  it('is refused where the class is another one, with what to do', async () => {
    await writeVocab([]);
    await config({ tokenizer_class: 'CTRLTokenizer' });
    const error = await errorOf(() => HfTokenizer.load(dir));
    expect(error.message).to.match(
      /TOKENIZER_MISSING: .* is one of GPT2Tokenizer, Qwen2Tokenizer, RobertaTokenizer/,
    );
    expect(error.message).to.contain('save_pretrained');
  });
});
