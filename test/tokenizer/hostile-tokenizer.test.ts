import { expect } from 'chai';
import fc from 'fast-check';
import { AtbError } from '../../src/errors.js';
import { SplitPreTokenizer } from '../../src/tokenizer/hf-package.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { LINEAR_PATTERNS } from '../../src/tokenizer/pre-tokenizer-patterns.js';
import { errorOf } from './error-of.js';
import { byteLevel, byteLevelJson, type Json } from './small-tokenizers.js';

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

describe('the patterns of well-known tokenizers', () => {
  const words = [
    ' ',
    '\n',
    'A',
    'a',
    'é',
    '中',
    '!',
    '1',
    '\t ',
    ' !',
    '!\n',
    'Aa',
    '\u0301',
    'ʰ',
    '.A',
    "'",
  ];

  it('need time in proportion to the text', () => {
    for (const pattern of LINEAR_PATTERNS) {
      const splitter = new SplitPreTokenizer({
        type: 'Split',
        pattern: { Regex: pattern },
        behavior: 'Isolated',
        invert: false,
      });
      for (const word of words) {
        const start = performance.now();
        splitter.pre_tokenize_text(`${word.repeat(100_000 / word.length)}\u0001`);
        // 100 ms at most on a machine that is busy otherwise; quadratic ones take a minute.
        expect(performance.now() - start, `${JSON.stringify(word)} ${pattern}`).to.be.lessThan(3000);
      }
    }
  }).timeout(60_000);
});
