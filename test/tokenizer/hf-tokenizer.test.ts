import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { AtbError } from '../../src/errors.js';
import { Tokenizer } from '../../src/tokenizer/hf-package.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import {
  BYTE_LEVEL_CONFIG,
  byteLevel,
  byteLevelJson,
  type Json,
  LLAMA2_CONFIG,
  llama2,
  llama2Json,
} from './small-tokenizers.js';

const ALL: Array<[string, HfTokenizer, Json, Json]> = [
  ['byte-level BPE', byteLevel(), byteLevelJson(), BYTE_LEVEL_CONFIG],
  ['Llama 2 with a normaliser', llama2(), llama2Json(), LLAMA2_CONFIG],
  ['Llama 2 with Metaspace', llama2(true), llama2Json(true), LLAMA2_CONFIG],
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

async function errorOf(action: () => unknown): Promise<AtbError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof AtbError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

for (const [name, tokenizer, json, config] of ALL) {
  describe(`HfTokenizer with ${name}`, () => {
    it('gives the ids that the package gives', () => {
      const original = new Tokenizer(json, config);
      fc.assert(
        fc.property(text, fc.boolean(), (input, addSpecialTokens) => {
          const expected = original.encode(input, { add_special_tokens: addSpecialTokens }).ids;
          const found = tokenizer.encode(input, { addSpecialTokens });
          if (found.join() !== expected.join()) throw new Error(`${found} is not ${expected}`);
        }),
        { numRuns: 2000, seed: 31 },
      );
    });

    it('never reads a control token out of mere text', () => {
      fc.assert(
        fc.property(text, (input) => {
          const ids = tokenizer.encode(input, { addSpecialTokens: false, parseSpecialTokens: false });
          const unknown = tokenizer.unkTokenId;
          if (ids.some((id) => tokenizer.isSpecial(id) && id !== unknown))
            throw new Error(`special in ${ids}`);
          const marked = tokenizer.encodeMarked(tokenizer.markSpecials(input, '\uFDD0'), '\uFDD0');
          if (marked.some((id) => tokenizer.isSpecial(id) && id !== unknown))
            throw new Error(`special in ${marked}`);
        }),
        { numRuns: 2000, seed: 32 },
      );
    });

    it('takes time in proportion to the text, even for a million equal characters', () => {
      tokenizer.encode('a'.repeat(20_000));
      const timeOf = (len: number): number => {
        const start = performance.now();
        tokenizer.encode('a'.repeat(len));
        return performance.now() - start;
      };
      const [short, long] = [timeOf(100_000), timeOf(1_000_000)];
      // Ten times as long; twice that for noise. Quadratic would be a hundred.
      expect(long / short).to.be.lessThan(20 + 200 / short);
    });
  });
}

describe('HfTokenizer', () => {
  const tokenizer = byteLevel();

  it('round-trips any text byte by byte', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (input) => {
        const back = tokenizer.decode(tokenizer.encode(input, { parseSpecialTokens: false }));
        if (back !== input.normalize('NFC'))
          throw new Error(`${JSON.stringify(back)} is not ${JSON.stringify(input)}`);
      }),
      { numRuns: 2000, seed: 33 },
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
    await write('tokenizer.model', Uint8Array.of(10, 255, 0));
    expect((await errorOf(() => HfTokenizer.load(dir))).message).to.match(
      /tokenizer\.model must be converted/,
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

describe('a hostile tokenizer.json', () => {
  const make = (change: (json: Json) => void, config?: unknown): HfTokenizer => {
    const json = JSON.parse(JSON.stringify(byteLevelJson())) as Json;
    change(json);
    return new HfTokenizer({ file: 'evil/tokenizer.json', tokenizer: json, config });
  };
  const model = (json: Json): { vocab: Record<string, unknown>; merges: unknown[] } & Json =>
    json.model as never;
  const added = (json: Json): Json[] => json.added_tokens as Json[];
  const token = { id: 500, content: 'x', special: true };

  const cases: Array<[string, (json: Json) => unknown, RegExp]> = [
    ['has no model', (j) => delete j.model, /model must be an object/],
    ['has a model of an unknown type', (j) => (model(j).type = 'Magic'), /must be BPE, Unigram or WordPiece/],
    ['has no vocabulary', (j) => (model(j).vocab = {}), /must have 1 to/],
    ['has a list for a vocabulary', (j) => (model(j).vocab = [] as never), /must be an object of token ids/],
    ['has a negative id', (j) => (model(j).vocab.x = -1), /token "x" has the id -1/],
    ['has a fractional id', (j) => (model(j).vocab.x = 1.5), /token "x" has the id 1.5/],
    ['has an id of 2^31', (j) => (model(j).vocab.x = 2 ** 31), /token "x" has the id 2147483648/],
    ['has a text for an id', (j) => (model(j).vocab.x = '7'), /token "x" has the id "7"/],
    ['gives two tokens one id', (j) => (model(j).vocab.x = 5), /shares the id 5/],
    ['has no merges', (j) => (model(j).merges = 7 as never), /merges must be a list/],
    ['merges tokens that do not exist', (j) => model(j).merges.push('qq zz'), /merges\[15\] needs "qq"/],
    [
      'merges into a token that does not exist',
      (j) => model(j).merges.push('a b'),
      /needs "ab", which is no token/,
    ],
    ['merges nothing', (j) => model(j).merges.push('a '), /needs "", which is no token/],
    ['merges three tokens', (j) => model(j).merges.push('a b c'), /must be a pair/],
    ['has a number among the merges', (j) => model(j).merges.push(7), /must be a pair/],
    [
      'adds an empty token',
      (j) => added(j).push({ ...token, content: '' }),
      /content must be a string of 1 to 512/,
    ],
    [
      'adds a token of a megabyte',
      (j) => added(j).push({ ...token, content: 'x'.repeat(1 << 20) }),
      /1 to 512/,
    ],
    [
      'adds a token without an id',
      (j) => added(j).push({ content: 'x' }),
      /id must be a token id, found undefined/,
    ],
    ['adds a token with the id 10^9', (j) => added(j).push({ ...token, id: 1e9 }), /id must be a token id/],
    [
      'adds two tokens with one id',
      (j) => added(j).push(token, { ...token, content: 'yy' }),
      /gives "x" the id|has the id 500 of "x"/,
    ],
    [
      'adds a token that the vocabulary numbers otherwise',
      (j) => added(j).push({ ...token, content: 'h' }),
      /the vocabulary gives it/,
    ],
    ['adds a null', (j) => added(j).push(null as never), /must be an object, found null/],
    ['has an unknown normaliser', (j) => (j.normalizer = { type: 'Evil' }), /Unknown Normalizer type: Evil/],
    ['has an unknown decoder', (j) => (j.decoder = { type: 'Evil' }), /Unknown Decoder type: Evil/],
    [
      'has a step without a type',
      (j) => (j.normalizer = { type: 'Sequence', normalizers: [{}] }),
      /step without a type/,
    ],
    [
      'replaces a character by a thousand',
      (j) => (j.normalizer = { type: 'Replace', pattern: { String: 'a' }, content: 'a'.repeat(1000) }),
      /at most 16 characters/,
    ],
    [
      'has a hundred steps',
      (j) => (j.normalizer = { type: 'Sequence', normalizers: new Array(100).fill({ type: 'NFC' }) }),
      /101 steps/,
    ],
    [
      'cuts a text into pieces of no length',
      (j) => (j.pre_tokenizer = { type: 'FixedLength', length: 0 }),
      /length of FixedLength must be at least 1/,
    ],
    [
      'replaces in its pre-tokeniser',
      (j) => (j.pre_tokenizer = { type: 'Replace', pattern: { String: 'a' }, content: '' }),
      /must not have Replace/,
    ],
    [
      'splits by nothing',
      (j) => (j.pre_tokenizer = { type: 'Split', pattern: { String: '' } }),
      /must be a Regex or a String/,
    ],
    ['splits by no pattern', (j) => (j.pre_tokenizer = { type: 'Split' }), /Split needs a pattern/],
    [
      'spells bytes twice',
      (j) =>
        (j.pre_tokenizer = {
          type: 'Sequence',
          pretokenizers: [{ type: 'ByteLevel' }, { type: 'ByteLevel' }],
        }),
      /ByteLevel more than once/,
    ],
  ];
  for (const [what, change, message] of cases) {
    it(`is refused when it ${what}`, async () => {
      const error = await errorOf(() => make(change));
      expect(error.code).to.equal('TOKENIZER_INVALID');
      expect(error.message)
        .to.match(message)
        .and.to.match(/evil\/tokenizer\.json/);
    });
  }

  it('is refused with more than a million tokens', async () => {
    const vocab = Object.fromEntries(Array.from({ length: 2 ** 20 + 1 }, (_, id) => [id, id]));
    const error = await errorOf(
      () => new HfTokenizer({ file: 'f', tokenizer: { model: { type: 'BPE', vocab, merges: [] } } }),
    );
    expect(error.message).to.match(/must have 1 to 1048576 tokens, found 1048577/);
  });

  it('cannot make a text longer and longer', async () => {
    const normalizers = new Array(30).fill({
      type: 'Replace',
      pattern: { String: 'a' },
      content: 'aaaaaaaa',
    });
    const tokenizer = make((j) => (j.normalizer = { type: 'Sequence', normalizers }));
    const error = await errorOf(() => tokenizer.encode('a'.repeat(1000)));
    expect([error.code, error.message]).to.satisfy(
      ([code, message]: [string, string]) =>
        code === 'TOKENIZER_INVALID' && /normalizer makes 512000 characters of 1000/.test(message),
    );
  });

  it('is refused when a pattern does not compile, with the pattern', async () => {
    for (const pattern of ['(?s:a)', '(', 'a{2,1}', '[z-a]', 'x'.repeat(5000)]) {
      const error = (await errorOf(
        () => new HfTokenizer({ file: 'f.json', tokenizer: byteLevelJson(pattern) }),
      )) as AtbError<'TOKENIZER_PATTERN'>;
      expect(error.code).to.equal('TOKENIZER_PATTERN');
      expect(error.detail).to.include({ file: 'f.json', part: 'pre_tokenizer', pattern });
    }
  });

  it('is refused when a pattern backtracks without end, within a second', async () => {
    for (const pattern of ['^(a+)+$', '(?:a|a)*b', '(\\s*)*x', '(?:[a-z]+[a-z]+)+!', '(ab|a|b)+c+d']) {
      const start = performance.now();
      const error = await errorOf(
        () => new HfTokenizer({ file: 'f.json', tokenizer: byteLevelJson(pattern) }),
      );
      expect(error.message, pattern).to.match(/^TOKENIZER_PATTERN.*needs more than 400 ms/);
      expect(performance.now() - start).to.be.lessThan(2000);
    }
  });

  it('may have patterns that nobody knows, which run within a time limit', async () => {
    const harmless = new HfTokenizer({ file: 'f.json', tokenizer: byteLevelJson('\\p{L}+|[^\\p{L}]') });
    expect(harmless.encode('hello world')).to.deep.equal(
      byteLevel()
        .encode('hello')
        .concat(32, ...byteLevel().encode('world')),
    );
    // At every blank, all those that follow are looked at: quadratic.
    const quadratic = new HfTokenizer({ file: 'f.json', tokenizer: byteLevelJson('\\s+$') });
    expect(quadratic.encode('a b')).to.deep.equal([97, 32, 98]);
    const error = (await errorOf(() =>
      quadratic.encode(`${' '.repeat(50_000)}a`),
    )) as AtbError<'TOKENIZER_TOO_SLOW'>;
    expect(error.code).to.equal('TOKENIZER_TOO_SLOW');
  });

  it('is refused with flags that would be ignored, or a config that is none', async () => {
    expect((await errorOf(() => make(() => {}, { remove_space: true }))).message).to.match(
      /remove_space is not supported/,
    );
    expect((await errorOf(() => make(() => {}, []))).message).to.match(
      /tokenizer_config\.json: must be an object/,
    );
  });

  it('never does anything but load or be refused, whatever a part is replaced by', () => {
    const paths = [
      'model',
      'added_tokens',
      'normalizer',
      'pre_tokenizer',
      'post_processor',
      'decoder',
      'model.vocab',
      'model.merges',
      'model.type',
      'model.unk_token',
      'pre_tokenizer.pretokenizers',
      'decoder.type',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 3 }), (path, value) => {
        try {
          make((json) => {
            const keys = path.split('.');
            const last = keys.pop() as string;
            const parent = keys.reduce((node, key) => node[key] as Json, json);
            parent[last] = value;
          }).encode('hello <|im_end|>');
        } catch (error) {
          if (!(error instanceof AtbError)) throw error;
        }
      }),
      { numRuns: 600, seed: 77 },
    );
  });
});
