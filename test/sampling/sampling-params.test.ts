import { expect } from 'chai';
import fc from 'fast-check';
import { AtbError } from '../../src/errors.js';
import { parseGenerationConfig } from '../../src/sampling/generation-config.js';
import { toSamplerOptions } from '../../src/sampling/sampler-options.js';
import { resolveSamplingParams, type SamplingOptions } from '../../src/sampling/sampling-params.js';
import { checkTokenIds } from '../../src/sampling/token-ids.js';

const VOCAB = 1000;

function resolve(options: unknown, defaults = {}): ReturnType<typeof resolveSamplingParams> {
  return resolveSamplingParams(options as SamplingOptions, { vocabSize: VOCAB, defaults });
}

/** The field that a REQUEST_INVALID names; undefined when nothing is thrown. */
function refusedField(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof AtbError && error.code === 'REQUEST_INVALID') {
      return (error as AtbError<'REQUEST_INVALID'>).detail.field;
    }
    throw error;
  }
  return undefined;
}

describe('sampling parameters', () => {
  it('are greedy and short when nobody asks for anything', () => {
    const params = resolve({});
    expect(params).to.include({
      maxTokens: 20,
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
    });
    expect(params).to.include({
      seed: undefined,
      logprobs: undefined,
      ignoreEos: false,
      skipSpecialTokens: true,
    });
  });

  it('take an undefined field as absent', () => {
    expect(resolve({ temperature: undefined, stop: undefined }, { temperature: 0.5 }).temperature).to.equal(
      0.5,
    );
  });

  const bad: Array<[string, unknown[]]> = [
    ['maxTokens', [0, -1, 1.5, 2 ** 31, Number.NaN, '5', null, Number.POSITIVE_INFINITY]],
    ['minTokens', [-1, 0.5, 21]],
    ['temperature', [-1, -1e-9, Number.NaN, 1e9, Number.POSITIVE_INFINITY, '1']],
    ['topK', [-2, 1.5, Number.NaN]],
    ['topP', [-0.1, 1.1, Number.NaN]],
    ['minP', [-0.1, 1.1]],
    ['repetitionPenalty', [0, -1, 1e-40, 11]],
    ['frequencyPenalty', [-2.1, 2.1, Number.NaN]],
    ['presencePenalty', [-2.1, 2.1]],
    ['seed', [-1, 0.5, 2 ** 53, Number.NaN, 1n]],
    ['logprobs', [-1, 21, true]],
    ['stop', [5, { 0: 'a' }, new Array(65).fill('a')]],
    ['stop[0]', ['', [''], ['x'.repeat(1025)], 'x'.repeat(1 << 20), [5], ['\uD83D']]],
    ['stop[1]', [['a', '']]],
    ['stopTokenIds', [7, 'abc', { 0: 1 }]],
    ['stopTokenIds[0]', [[-1], [VOCAB], [2 ** 32 + 5], [1.5], ['3'], [null]]],
    ['logitBias', [[[1, 2]], 'x', 3, null]],
    ['logitBias[5]', [{ 5: 101 }, { 5: Number.NaN }, { 5: '1' }, new Map([[5, -101]])]],
    ['ignoreEos', [0, 'true', null]],
    ['includeStopStrInOutput', [1]],
    ['skipSpecialTokens', ['no']],
  ];
  for (const [field, values] of bad) {
    it(`refuse a bad ${field} by its name`, () => {
      for (const value of values) {
        const name = field.replace(/\[.*/, '');
        expect(
          refusedField(() => resolve({ [name]: value })),
          `${field} = ${String(value)}`,
        ).to.equal(field);
      }
    });
  }

  it('refuse a bias for a token that does not exist, however it is spelt', () => {
    for (const key of [String(VOCAB), '-1', '05', '1e2', 'abc', '', '4294967301', '__proto__x']) {
      expect(
        refusedField(() => resolve({ logitBias: { [key]: 1 } })),
        key,
      ).to.match(/^the key of logitBias/);
    }
    expect(refusedField(() => resolve({ logitBias: new Map([[VOCAB, 1]]) }))).to.match(
      /^the key of logitBias/,
    );
  });

  it('refuse a field that does not exist', () => {
    expect(refusedField(() => resolve({ temprature: 1 }))).to.equal('temprature');
    expect(refusedField(() => resolve(JSON.parse('{"__proto__": {"temperature": 1}}')))).to.equal(
      '__proto__',
    );
    expect(refusedField(() => resolve([]))).to.equal('sampling parameters');
  });

  it('accept top_p 0, which leaves the best token, also as a preset', () => {
    expect(resolve({ topP: 0 }).topP).to.equal(0);
    const { sampling } = parseGenerationConfig({ do_sample: true, top_p: 0.0 }, 'generation_config.json');
    expect(sampling).to.deep.equal({ temperature: 1, topP: 0, topK: 50 });
  });

  it('accept what stands exactly at the limits', () => {
    const edge = {
      maxTokens: 1,
      minTokens: 1,
      temperature: 100,
      topK: -1,
      topP: 1,
      minP: 1,
      seed: 2 ** 53 - 1,
      logprobs: 20,
      stop: ['x'.repeat(1024)],
      stopTokenIds: [0, VOCAB - 1],
      logitBias: { 0: -100, [VOCAB - 1]: 100 },
    };
    expect(resolve(edge)).to.deep.include({
      topK: 0,
      logitBias: new Map([
        [0, -100],
        [VOCAB - 1, 100],
      ]),
    });
  });

  it('take a single stop string and drop repeated ones', () => {
    expect(resolve({ stop: 'END' }).stop).to.deep.equal(['END']);
    expect(resolve({ stop: ['a', 'b', 'a'] }).stop).to.deep.equal(['a', 'b']);
  });

  it('never throw anything but a typed error', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...bad.map(([field]) => field.replace(/\[.*/, ''))), fc.anything()),
        (options) => {
          refusedField(() => resolve(options));
        },
      ),
      { numRuns: 5000, seed: 3 },
    );
  });

  it('check prompt ids like every other token id', () => {
    expect(Array.from(checkTokenIds('prompt', Int32Array.of(0, 999), VOCAB))).to.deep.equal([0, 999]);
    expect(refusedField(() => checkTokenIds('prompt', [1, VOCAB], VOCAB))).to.equal('prompt[1]');
    expect(refusedField(() => checkTokenIds('prompt', 'abc', VOCAB))).to.equal('prompt');
  });

  it('lower to the native sampler, with the engine’s seed where the request has none', () => {
    const options = toSamplerOptions(
      resolve({ topK: 4, logitBias: { 7: -3 }, logprobs: 2, temperature: 1e-7 }),
      [1, 2],
      99,
    );
    expect(options).to.deep.include({
      topK: 4,
      seed: 99,
      topLogprobs: 2,
      temperature: 0,
      logitBias: [[7, -3]],
    });
    expect(options.promptTokens).to.deep.equal(Int32Array.of(1, 2));
    expect(toSamplerOptions(resolve({ seed: 0 }), [1], 99)).to.include({ seed: 0, topLogprobs: -1 });
  });
});

describe('generation_config.json', () => {
  const parse = (value: unknown): ReturnType<typeof parseGenerationConfig> =>
    parseGenerationConfig(value, 'g.json');

  it('presets what the caller leaves open', () => {
    const { sampling } = parse({
      do_sample: true,
      temperature: 0.6,
      top_p: 0.9,
      top_k: 20,
      max_new_tokens: 50,
    });
    expect(resolve({}, sampling)).to.include({ temperature: 0.6, topP: 0.9, topK: 20, maxTokens: 50 });
    expect(resolve({ temperature: 0, topP: 0.5 }, sampling)).to.include({
      temperature: 0,
      topP: 0.5,
      topK: 20,
    });
  });

  it('means greedy without do_sample, and lends its numbers once a temperature is asked for', () => {
    const { sampling } = parse({ temperature: 0.6, top_p: 0.9 });
    expect(resolve({}, sampling).temperature).to.equal(0);
    expect(resolve({ temperature: 0.8 }, sampling)).to.include({ temperature: 0.8, topP: 0.9 });
    expect(parse({ do_sample: true }).sampling.temperature).to.equal(1);
  });

  it('names one, several or no end tokens', () => {
    expect(parse({ eos_token_id: 2 }).eosTokenIds).to.deep.equal([2]);
    expect(parse({ eos_token_id: [2, 7] }).eosTokenIds).to.deep.equal([2, 7]);
    expect(parse({ eos_token_id: null, pad_token_id: -1, bos_token_id: 1 })).to.deep.include({
      eosTokenIds: [],
      padTokenId: undefined,
      bosTokenId: 1,
    });
  });

  it('samples among 50 tokens where it says no top_k, as transformers does', () => {
    expect(parse({ do_sample: true, top_k: null }).sampling).to.deep.equal({ temperature: 1, topK: 50 });
    expect(parse({ do_sample: true, top_k: 0 }).sampling.topK).to.equal(0);
    expect(parse({ do_sample: false }).sampling).to.deep.equal({ temperature: 0 });
  });

  const outOfRange: Array<[key: string, field: keyof SamplingOptions, value: unknown, good: number]> = [
    ['temperature', 'temperature', -1, 1],
    ['temperature', 'temperature', 'hot', 1],
    ['top_p', 'topP', 3, 0.9],
    ['top_k', 'topK', -5, 4],
    ['min_p', 'minP', 2, 0.1],
    ['repetition_penalty', 'repetitionPenalty', 0, 1],
    ['max_new_tokens', 'maxTokens', 0, 9],
  ];
  for (const [key, field, value, good] of outOfRange) {
    it(`warns of ${key} ${JSON.stringify(value)}, at which only requests fail that would use it`, () => {
      const { sampling, warnings } = parse({ do_sample: true, [key]: value });
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.match(new RegExp(`^g\\.json: ${key} must be .* says ${field} itself$`));
      expect(refusedField(() => resolve({}, sampling))).to.equal(field);
      expect(() => resolve({}, sampling)).to.throw(new RegExp(`${key} of generation_config\\.json`));
      expect(resolve({ [field]: good }, sampling)).to.include({ [field]: good });
      const isDrawn = ['topP', 'topK', 'minP'].includes(field);
      const greedy = refusedField(() => resolve({ temperature: 0 }, sampling));
      expect(greedy).to.equal(isDrawn || field === 'temperature' ? undefined : field);
      // What a request says itself is checked, drawn or not.
      expect(refusedField(() => resolve({ temperature: 0, [field]: value }, sampling))).to.equal(field);
    });
  }

  it('warns of what it asks for and is not applied, unless it asks for nothing', () => {
    const asked = { num_beams: 4, encoder_no_repeat_ngram_size: 3, top_h: 0.4, typical_p: 0.9 };
    const { warnings } = parse(asked);
    expect(warnings).to.have.length(4);
    for (const key of Object.keys(asked)) expect(warnings.join()).to.contain(`${key} is not applied here`);
    const nothing = { num_beams: 1, bad_words_ids: [], sequence_bias: {}, typical_p: 1, stop_strings: null };
    expect(parse({ ...nothing, transformers_version: '5.24.0' }).warnings).to.deep.equal([]);
  });

  it('presets texts that end a text, unless the request names its own or goes on behind the end', () => {
    const { sampling, warnings } = parse({ stop_strings: ['\nUser:', '</x>'] });
    expect(warnings).to.deep.equal([]);
    expect(resolve({}, sampling).stop).to.deep.equal(['\nUser:', '</x>']);
    expect(resolve({ stop: 'y' }, sampling).stop).to.deep.equal(['y']);
    expect(resolve({ stop: [] }, sampling).stop).to.deep.equal([]);
    expect(resolve({ ignoreEos: true }, sampling).stop).to.deep.equal([]);
    expect(resolve({}, parse({ stop_strings: '###' }).sampling).stop).to.deep.equal(['###']);
    const malformed = parse({ stop_strings: [3] });
    expect(malformed.sampling).to.not.have.property('stop');
    expect(malformed.warnings.join()).to.match(/stop_strings must be a text or a list of texts.*not applied/);
  });

  it('presets how many tokens come before the first that ends a text', () => {
    const { sampling, warnings } = parse({ min_new_tokens: 6 });
    expect(warnings).to.deep.equal([]);
    const ends = (options: SamplingOptions) => toSamplerOptions(resolve(options, sampling), [], 0, [2, 3]);
    expect(ends({ stopTokenIds: [7, 3] })).to.deep.include({
      endTokens: Int32Array.of(7, 3, 2),
      minTokens: 6,
    });
    expect(ends({ ignoreEos: true })).to.not.have.property('endTokens');
    expect(ends({ minTokens: 0 })).to.not.have.property('endTokens');
    // What a checkpoint asks for gives way; what a request asks for is checked.
    expect(resolve({ maxTokens: 4 }, sampling).minTokens).to.equal(4);
    expect(refusedField(() => resolve({ maxTokens: 4, minTokens: 6 }))).to.equal('minTokens');
  });

  it('presets tokens that are never chosen, and words of one token', () => {
    const { sampling, warnings } = parse({ suppress_tokens: [5, -1, 2000], bad_words_ids: [[7], [8, 9]] });
    expect(sampling.suppressTokens).to.deep.equal([5, 2000, 7]);
    expect(warnings).to.deep.equal([]);
    expect(parse({ eos_token_id: 7, bad_words_ids: [[7]] }).sampling).to.not.have.property('suppressTokens');
    const params = resolve({ logitBias: { 5: 1 } }, sampling);
    expect(toSamplerOptions(params, [], 0).logitBias).to.deep.equal([
      [5, 1],
      [5, Number.NEGATIVE_INFINITY],
      [7, Number.NEGATIVE_INFINITY],
    ]);
    expect(resolve({ suppressTokens: [] }, sampling).suppressTokens).to.deep.equal([]);
    expect(refusedField(() => resolve({ suppressTokens: [2000] }))).to.equal('suppressTokens[0]');
    expect(parse({ suppress_tokens: 5 }).warnings.join()).to.match(/suppress_tokens must be a list, found 5/);
  });

  it('warns of ids and switches that are none, which count as absent', () => {
    const { warnings, sampling, ...ids } = parse({ do_sample: 'yes', bos_token_id: 'a', pad_token_id: -2 });
    expect(warnings.map((text) => text.split(' ')[1])).to.deep.equal([
      'do_sample',
      'bos_token_id',
      'pad_token_id',
    ]);
    expect(sampling.temperature).to.equal(0);
    expect(ids).to.deep.equal({ eosTokenIds: [], bosTokenId: undefined, padTokenId: undefined });
  });

  it('is refused where it is no object, and with every end token that is none', () => {
    expect(() => parse({ eos_token_id: ['a', 2.5, 7] })).to.throw(/g\.json: .*"a".*2\.5/);
    expect(() => parse([])).to.throw(/CONFIG_INVALID/);
  });
});
