import { refuseRequest } from '../errors.js';
import { CHECKS, checkOptions, isCount, type OptionChecks } from '../runner/options.js';
import type { FinishReason } from '../scheduler/sequence.js';
import type { LLM } from './llm.js';
import type { GenerateOptions } from './llm-engine-options.js';
import { GENERATE_OPTIONS } from './options.js';

export interface BeamSearchOptions extends GenerateOptions {
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
}

/** Each step looks at twice as many tokens as there are beams, and a request may ask for 20. */
const MAX_BEAMS = 10;

const OPTIONS: OptionChecks<BeamSearchOptions> = {
  ...GENERATE_OPTIONS,
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
 * beams; it is over when there are beamWidth answers. Each step is one request per beam, all together; beams share the blocks
 * of their common beginning, which are found in the cache by content, and compute at most a block's rest anew.
 * @throws REQUEST_INVALID, REQUEST_TOO_LONG, REQUEST_ABORTED, OPTION_UNKNOWN, ENGINE_DISPOSED
 */
export async function beamSearch(
  llm: LLM,
  prompt: ArrayLike<number>,
  options: BeamSearchOptions,
): Promise<BeamOutput[]> {
  checkOptions(options, OPTIONS, 'BeamSearchOptions');
  const { beamWidth, maxTokens, lengthPenalty = 1, ignoreEos = false, ...generate } = options;
  if (!isCount(beamWidth) || beamWidth > MAX_BEAMS)
    refuseRequest('beamWidth', `an integer in [1, ${MAX_BEAMS}]`, beamWidth);
  const request = { ...generate, maxTokens: 1, temperature: 0, ignoreEos: true, logprobs: 2 * beamWidth };
  const output = ({ tokens, logprob }: Beam, finishReason: FinishReason): BeamOutput => ({
    text: llm.text.tokenizer ? llm.decode(tokens) : '',
    tokens,
    finishReason,
    cumulativeLogprob: logprob,
    score: logprob / tokens.length ** lengthPenalty,
  });
  const ended: BeamOutput[] = [];
  let beams: Beam[] = [{ tokens: [], logprob: 0 }];
  for (let step = 0; step < maxTokens && ended.length < beamWidth; step++) {
    const next = await continuations(llm, prompt, beams, request);
    beams = [];
    for (const [rank, beam] of next.slice(0, 2 * beamWidth).entries()) {
      const isEnd = !ignoreEos && llm.text.postprocessor.checkEos(beam.tokens.at(-1) as number);
      if (!isEnd && beams.length < beamWidth) beams.push(beam);
      else if (isEnd && rank < beamWidth) ended.push(output(beam, 'stop'));
    }
  }
  // Where it was not cut short, beams that were still followed are answers too.
  if (ended.length < beamWidth) ended.push(...beams.map((beam) => output(beam, 'length')));
  return ended.toSorted((a, b) => b.score - a.score).slice(0, beamWidth);
}

/** Every beam with each of its likeliest next tokens, best first. */
async function continuations(
  llm: LLM,
  prompt: ArrayLike<number>,
  beams: readonly Beam[],
  request: Parameters<LLM['startTokens']>[1],
): Promise<Beam[]> {
  const started = beams.map(({ tokens }) => llm.startTokens([...Array.from(prompt), ...tokens], request));
  try {
    const results = await Promise.all(started.map(({ result }) => result));
    return results
      .flatMap(({ logprobs: [first] }, index) => {
        const { tokens, logprob } = beams[index] as Beam;
        return Array.from(first?.topTokens ?? [], (token, at) => ({
          tokens: [...tokens, token],
          logprob: logprob + (first?.topLogprobs[at] as number),
        }));
      })
      .toSorted((a, b) => b.logprob - a.logprob);
  } catch (error) {
    for (const generation of started) generation.abort(error);
    throw error;
  }
}
