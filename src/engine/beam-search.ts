import { refuseRequest } from '../errors.js';
import { CHECKS, checkOptions, isCount, type OptionChecks } from '../runner/options.js';
import type { FinishReason } from '../scheduler/sequence.js';
import type { Answerer } from './answerer.js';
import type { Generation } from './generation.js';
import type { GenerateOptions } from './llm-engine-options.js';
import { GENERATE_OPTIONS } from './options.js';

export interface BeamSearchOptions extends Omit<GenerateOptions, 'keepsBlocks' | 'follows'> {
  /** Answers that are followed at the same time, and returned: 1 to 10. */
  readonly beamWidth: number;
  /** New tokens at most. */
  readonly maxTokens: number;
  /** Scores are sums of log-probs divided by (number of new tokens) ** lengthPenalty; 1 when absent. */
  readonly lengthPenalty?: number | undefined;
  /** Go on after the model's own end-of-sequence tokens. */
  readonly ignoreEos?: boolean | undefined;
}

/** One answer of a beam search. */
export interface BeamOutput {
  readonly text: string;
  /** With the token that ended it. */
  readonly tokens: readonly number[];
  readonly finishReason: FinishReason;
  /** Sum of its tokens' log-probs. */
  readonly cumulativeLogprob: number;
  readonly score: number;
}

interface Beam {
  readonly tokens: readonly number[];
  readonly logprob: number;
  /** The request that its last token is of; none for a prompt. */
  readonly follows?: Generation | undefined;
}

/** What a search needs. */
export type BeamRunner = Pick<Answerer, 'startTokens' | 'text' | 'decode' | 'engine'>;

/** Each step looks at twice as many tokens as there are beams, and a request may ask for 20. */
const MAX_BEAMS = 10;

const { keepsBlocks: _keeps, follows: _follows, ...generateOptions } = GENERATE_OPTIONS;

const OPTIONS: OptionChecks<BeamSearchOptions> = {
  ...generateOptions,
  beamWidth: { required: true, ...CHECKS.count },
  maxTokens: { required: true, ...CHECKS.count },
  lengthPenalty: {
    expected: (value) => (typeof value === 'number' && Number.isFinite(value) ? undefined : 'a number'),
  },
  ignoreEos: CHECKS.flag,
};

/**
 * The likeliest answers, best first, as transformers searches them with `early_stopping=True`: of the 2 * beamWidth best
 * continuations of all beams, those that end and are among the first beamWidth are answers, and the best others are the next
 * beams; it is over when there are beamWidth answers. Each step is one request per beam, all together. A beam goes on in the
 * blocks of the one that it came from: they share them, and each takes a copy of the block that it writes into.
 * @throws REQUEST_INVALID, REQUEST_TOO_LONG, REQUEST_ABORTED, OPTION_UNKNOWN, ENGINE_DISPOSED
 */
export async function beamSearch(
  llm: BeamRunner,
  prompt: ArrayLike<number>,
  options: BeamSearchOptions,
): Promise<BeamOutput[]> {
  checkOptions(options, OPTIONS, 'BeamSearchOptions');
  const { beamWidth, maxTokens, lengthPenalty = 1, ignoreEos = false, ...generate } = options;
  if (!isCount(beamWidth) || beamWidth > MAX_BEAMS)
    refuseRequest('beamWidth', `an integer in [1, ${MAX_BEAMS}]`, beamWidth);
  const request = {
    ...{ ...generate, maxTokens: 1, temperature: 0, ignoreEos: true, logprobs: 2 * beamWidth },
    keepsBlocks: true,
  };
  const output = ({ tokens, logprob }: Beam, finishReason: FinishReason): BeamOutput => ({
    text: llm.text.tokenizer ? llm.decode(tokens) : '',
    tokens,
    finishReason,
    cumulativeLogprob: logprob,
    score: logprob / tokens.length ** lengthPenalty,
  });
  const ended: BeamOutput[] = [];
  let beams: Beam[] = [{ tokens: [], logprob: 0 }];
  // Requests whose blocks are kept: those of the step before, and of the present one.
  let kept: Generation[] = [];
  try {
    for (let step = 0; step < maxTokens && ended.length < beamWidth; step++) {
      const started = beams.map(({ tokens, follows }) =>
        llm.startTokens([...Array.from(prompt), ...tokens], { ...request, follows }),
      );
      const before = kept;
      kept = [...before, ...started];
      const next = await continuations(beams, started);
      for (const generation of before) llm.engine.release(generation);
      kept = started;
      beams = [];
      for (const [rank, beam] of next.slice(0, 2 * beamWidth).entries()) {
        const isEnd = !ignoreEos && llm.text.postprocessor.checkEos(beam.tokens.at(-1) as number);
        if (!isEnd && beams.length < beamWidth) beams.push(beam);
        else if (isEnd && rank < beamWidth) ended.push(output(beam, 'stop'));
      }
    }
  } finally {
    for (const generation of kept) llm.engine.release(generation);
  }
  // Where it was not cut short, beams that were still followed are answers too.
  if (ended.length < beamWidth) ended.push(...beams.map((beam) => output(beam, 'length')));
  return ended.toSorted((a, b) => b.score - a.score).slice(0, beamWidth);
}

/** Every beam with each of its likeliest next tokens, best first. */
async function continuations(beams: readonly Beam[], started: readonly Generation[]): Promise<Beam[]> {
  try {
    const results = await Promise.all(started.map(({ result }) => result));
    return results
      .flatMap(({ logprobs: [first] }, index) => {
        const { tokens, logprob } = beams[index] as Beam;
        return Array.from(first?.topTokens ?? [], (token, at) => ({
          tokens: [...tokens, token],
          logprob: logprob + (first?.topLogprobs[at] as number),
          follows: started[index],
        }));
      })
      .toSorted((a, b) => b.logprob - a.logprob);
  } catch (error) {
    for (const generation of started) generation.abort(error);
    throw error;
  }
}
