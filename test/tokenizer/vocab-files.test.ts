import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { errorOf } from './error-of.js';
import { byteLevelJson, type Json } from './small-tokenizers.js';

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
      bos_token: { content: '</s>' },
      eos_token: '</s>',
    },
    [
      [273, 259, 264],
      [
        273, 32, 259, 32, 264, 10, 10, 49, 50, 32, 60, 124, 101, 110, 100, 111, 102, 116, 101, 120, 116, 124,
        62, 273, 60, 109, 97, 115, 107, 62,
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
