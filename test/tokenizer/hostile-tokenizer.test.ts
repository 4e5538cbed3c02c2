import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { AtbError } from '../../src/errors.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { errorOf } from './error-of.js';
import { byteLevel, byteLevelJson, type Json } from './small-tokenizers.js';

describe('a hostile tokenizer.json', () => {
  const make = async (change: (json: Json) => void, config?: unknown): Promise<HfTokenizer> => {
    const json = JSON.parse(JSON.stringify(byteLevelJson())) as Json;
    change(json);
    const made = new HfTokenizer({ file: 'evil/tokenizer.json', tokenizer: json, config });
    await made.open();
    return made;
  };
  const model = (json: Json): { vocab: Record<string, unknown>; merges: unknown[] } & Json =>
    json.model as never;
  const added = (json: Json): Json[] => json.added_tokens as Json[];
  const token = { id: 500, content: 'x', special: true };

  const cases: Array<[string, (json: Json) => unknown, RegExp]> = [
    ['has no model', (j) => delete j.model, /model must be an object/],
    [
      'has a model of an unknown type',
      (j) => (model(j).type = 'Magic'),
      /must be BPE, Unigram, WordPiece or WordLevel/,
    ],
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
      'adds a token of a megabyte',
      (j) => added(j).push({ ...token, content: 'x'.repeat(1 << 20) }),
      /at most 512 characters/,
    ],
    [
      'adds a token without an id',
      (j) => added(j).push({ content: 'x' }),
      /id must be a token id, found undefined/,
    ],
    ['adds a token with the id 10^9', (j) => added(j).push({ ...token, id: 1e9 }), /id must be a token id/],
    ['adds a null', (j) => added(j).push(null as never), /must be an object, found null/],
    [
      'has an unknown normaliser',
      (j) => (j.normalizer = { type: 'Evil' }),
      /normalizer: unknown type "Evil"/,
    ],
    ['has an unknown decoder', (j) => (j.decoder = { type: 'Evil' }), /Unknown Decoder type: Evil/],
    [
      'has a null among its decoders',
      (j) => (j.decoder = { type: 'Sequence', decoders: [{ type: 'Fuse' }, null] }),
      /Unknown Decoder type: none/,
    ],
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
      /pre_tokenizer: unknown type "Replace"/,
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

  it('is refused when its steps together make a text longer and longer', async () => {
    const step = { type: 'Replace', pattern: { String: 'a' }, content: 'aaaaaaaa' };
    const normalizer = { type: 'Sequence', normalizers: new Array(30).fill(step) };
    const error = await errorOf(() => make((j) => (j.normalizer = normalizer)));
    expect([error.code, error.message]).to.satisfy(
      ([code, message]: [string, string]) =>
        code === 'TOKENIZER_INVALID' && /normalizer may make a text 1\.2\d+e\+27 times as long/.test(message),
    );
  });

  const withPattern = (pattern: string): HfTokenizer =>
    new HfTokenizer({ file: 'f.json', tokenizer: byteLevelJson(pattern) });

  it('is refused when a pattern does not compile, with the pattern', async () => {
    for (const pattern of ['(?<a', '(', '[z-a]', '*']) {
      const error = (await errorOf(() => withPattern(pattern).open())) as AtbError<'TOKENIZER_PATTERN'>;
      expect(error.code).to.equal('TOKENIZER_PATTERN');
      expect(error.detail).to.include({ file: 'f.json', part: 'pre_tokenizer', pattern });
    }
    const waiting = await errorOf(() => withPattern('(').encode('a'));
    expect(waiting.code).to.equal('TOKENIZER_PATTERN');
  });

  /** Whether this thread got turns while something ran. */
  async function turnsDuring(run: () => Promise<unknown>): Promise<number> {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    try {
      await run();
    } finally {
      clearInterval(timer);
    }
    return turns;
  }

  it('ends a pattern that backtracks without end, in its own process, while this one goes on', async () => {
    for (const pattern of ['^(a+)+$', '(?:a|a)*b', '(?:[a-z]+[a-z]+)+!', '(ab|a|b)+c+d']) {
      const tokenizer = withPattern(pattern);
      await tokenizer.open();
      let outcome = 'none';
      const turns = await turnsDuring(async () => {
        outcome = await tokenizer.encodeAsync(`${'ab'.repeat(2000)}${'a'.repeat(2000)}\u0001`).then(
          () => 'ids',
          (error: unknown) => (error instanceof AtbError ? error.code : String(error)),
        );
      });
      expect(outcome, pattern).to.be.oneOf(['ids', 'TOKENIZER_CRASHED', 'TOKENIZER_TOO_SLOW']);
      // Where it took long, this thread was free all the time.
      if (outcome === 'TOKENIZER_TOO_SLOW') expect(turns).to.be.greaterThan(20);
      // The tokenizer works again with the next text, in a new process.
      expect(await tokenizer.encodeAsync('a'), pattern).to.have.length(1);
    }
  }).timeout(120_000);

  describe('in a model directory', () => {
    let dir: string;
    beforeEach(async () => {
      dir = await mkdtemp(join(tmpdir(), 'atb-hostile-'));
    });
    afterEach(() => rm(dir, { recursive: true }));
    const write = (json: Json) => writeFile(join(dir, 'tokenizer.json'), JSON.stringify(json));

    it('is read, checked and made in that process, so that this thread is free meanwhile', async () => {
      const large = byteLevelJson();
      for (let n = 0; n < 200_000; n++) model(large).vocab[`token ${n}`] = 1000 + n;
      await write(large);
      const before = performance.eventLoopUtilization();
      const tokenizer = await HfTokenizer.load(dir);
      expect(performance.eventLoopUtilization(before).utilization).to.be.below(0.5);
      expect(tokenizer.tokenToId('token 7')).to.equal(1007);
    });

    it('is read anew in a new process, and refused there when the files have changed', async () => {
      await write(byteLevelJson('(?:[a-z]+[a-z]+)+!'));
      const tokenizer = await HfTokenizer.load(dir);
      const crash = () => errorOf(() => tokenizer.encodeAsync(`${'a'.repeat(3000)}1`));
      expect((await crash()).code).to.be.oneOf(['TOKENIZER_CRASHED', 'TOKENIZER_TOO_SLOW']);
      expect(await tokenizer.encodeAsync('a')).to.have.length(1);
      await crash();
      await write(byteLevelJson());
      expect((await errorOf(() => tokenizer.encodeAsync('a'))).message).to.match(
        /is another tokenizer than the one that was loaded/,
      );
    }).timeout(60_000);

    it('is refused with the pattern that does not compile, or the file that is malformed', async () => {
      await write(byteLevelJson('(?<a'));
      const error = (await errorOf(() => HfTokenizer.load(dir))) as AtbError<'TOKENIZER_PATTERN'>;
      expect(error.detail).to.include({ part: 'pre_tokenizer', pattern: '(?<a' });
      expect(error.detail.file).to.equal(join(dir, 'tokenizer.json'));
      await write({ ...byteLevelJson(), normalizer: { type: 'Evil' } });
      const other = await errorOf(() => HfTokenizer.load(dir));
      expect([other.code, other.message]).to.satisfy(
        ([code, message]: [string, string]) =>
          code === 'TOKENIZER_INVALID' && /normalizer: unknown type "Evil"/.test(message),
      );
    });
  });

  it('is refused when its decoder has a pattern that can backtrack: it would run in this thread', async () => {
    const decoder = (regex: string): Json => ({ type: 'Replace', pattern: { Regex: regex }, content: '' });
    for (const regex of ['(?:[α-ω]+)+$', 'a*a*a*b', '(a|a)*', '(?:[\\u03b1-\\u03c9]+)+$']) {
      const error = await errorOf(() => make((json) => (json.decoder = decoder(regex))));
      expect([error.code, error.message]).to.satisfy(
        ([code, message]: [string, string]) => code === 'TOKENIZER_PATTERN' && /of its decoder/.test(message),
      );
    }
    const simple = await make((json) => (json.decoder = decoder('l+o$')));
    expect(simple.decode(await simple.encodeAsync('hello'))).to.equal('he');
    // "$" is the end of a line, as in tokenizers 0.23.3.
    const lines = await make((json) => {
      json.decoder = decoder('l$');
      json.added_tokens = [...(json.added_tokens as Json[]), { id: 400, content: 'al\nll', special: false }];
    });
    expect(lines.decode(lines.encode('al\nll'))).to.equal('a\nl');
  });

  it('takes no other request with it when it ends its process', async () => {
    const evil = withPattern('^(a+)+$');
    const good = byteLevel();
    const expected = good.encode('hello');
    const [failed, ...found] = await Promise.allSettled([
      evil.encodeAsync(`${'a'.repeat(40)}!`),
      good.encodeAsync('hello'),
      evil.encodeAsync('b'),
      good.encodeAsync('hello'),
    ]);
    expect(failed.status === 'rejected' && (failed.reason as AtbError).code).to.equal('TOKENIZER_CRASHED');
    const values = found.map((one) => (one.status === 'fulfilled' ? one.value : one.reason));
    expect(values).to.deep.equal([expected, [98], expected]);
  });

  it('costs next to nothing for each of many short texts, as those of tools', () => {
    const tokenizer = byteLevel();
    const started = performance.now();
    for (let i = 0; i < 50_000; i++) tokenizer.markSpecials(`p${i}`, '\uFDD0');
    expect(performance.now() - started).to.be.below(1000);
  });

  it('keeps no short text waiting for a long one', async () => {
    const tokenizer = byteLevel();
    const order: number[] = [];
    const told = (text: string): Promise<unknown> =>
      tokenizer.encodeAsync(text).then(({ length }) => order.push(length));
    await Promise.all([told('a'.repeat(600_000)), told('abc')]);
    expect(order).to.deep.equal([3, 600_000]);
  });

  it('ends a text that takes too long with an error, for a caller that waits as well', async () => {
    // At every blank, all those that follow are looked at: quadratic.
    const quadratic = withPattern('\\s+$');
    expect(quadratic.encode('a b')).to.deep.equal([97, 32, 98]);
    const error = await errorOf(() => quadratic.encode(`${' '.repeat(150_000)}a`));
    expect(error.code).to.equal('TOKENIZER_TOO_SLOW');
    expect(quadratic.encode('a b')).to.deep.equal([97, 32, 98]);
  }).timeout(120_000);

  it('may have patterns that nobody knows', async () => {
    expect(withPattern('\\p{L}+|[^\\p{L}]').encode('hello world')).to.deep.equal(
      byteLevel()
        .encode('hello')
        .concat(32, ...byteLevel().encode('world')),
    );
  });

  it('is no way to end this process by what the library does not expect', async () => {
    const changes: Array<(json: Json) => unknown> = [
      (j) =>
        (j.post_processor = {
          type: 'TemplateProcessing',
          single: [{ Sequence: { id: 'B', type_id: 0 } }],
          pair: [],
          special_tokens: {},
        }),
      (j) => (j.normalizer = { type: 'Precompiled', precompiled_charsmap: 'CAAAAP////////9B' }),
      (j) => (model(j).unk_token = 'no such token'),
    ];
    for (const change of changes) {
      const outcome = await make((json) => void change(json))
        .then((made) => made.encodeAsync('hello'))
        .then(() => 'ids')
        .catch((error: unknown) => (error instanceof AtbError ? error.code : String(error)));
      expect(outcome).to.be.oneOf(['ids', 'TOKENIZER_INVALID', 'TOKENIZER_CRASHED']);
    }
  });

  it('is refused with flags that would be ignored, or a config that is none', async () => {
    expect((await errorOf(() => make(() => {}, { remove_space: true }))).message).to.match(
      /remove_space is not supported/,
    );
    expect((await errorOf(() => make(() => {}, []))).message).to.match(
      /tokenizer_config\.json: must be an object/,
    );
  });

  it('never does anything but load or be refused, whatever a part is replaced by', async () => {
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
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 3 }), async (path, value) => {
        try {
          const made = await make((json) => {
            const keys = path.split('.');
            const last = keys.pop() as string;
            const parent = keys.reduce((node, key) => node[key] as Json, json);
            parent[last] = value;
          });
          made.decode(await made.encodeAsync('hello <|im_end|>'));
        } catch (error) {
          if (!(error instanceof AtbError)) throw error;
        }
      }),
      { numRuns: 600, seed: 77 },
    );
  }).timeout(120_000);
});
