import { refuseRequest } from '../errors.js';
import { isCount } from '../runner/options.js';
import type { Answerer } from './answerer.js';
import type { LLMPrompt } from './encode-prompt.js';
import type { Generation, GenerationResult } from './generation.js';
import type { StreamOptions } from './llm-options.js';

export interface CompletionOptions extends StreamOptions {
  /** Answers to each prompt; 1 when absent. Answer i draws with the seed `seed + i`. */
  readonly n?: number | undefined;
  /** Generate that many, and return the `n` of the highest mean log-probability of their tokens; `n` when absent. */
  readonly bestOf?: number | undefined;
}

/** The answers to one prompt; `text`, `tokens` and `finishReason` are those of the first. */
export interface Completion extends GenerationResult {
  readonly outputs: readonly GenerationResult[];
}

/** OpenAI's limit. */
const MAX_ANSWERS = 128;

/**
 * Answers all prompts together, each `n` times.
 * @throws what `LLM.start` throws; when one answer fails, the others are aborted
 */
export async function complete(
  llm: Answerer,
  prompts: readonly LLMPrompt[],
  options: CompletionOptions,
): Promise<Completion[]> {
  const { n = 1, bestOf = n, template, guide, ...rest } = options;
  for (const [field, value] of Object.entries({ n, bestOf }))
    if (!isCount(value) || value > MAX_ANSWERS)
      refuseRequest(field, `an integer in [1, ${MAX_ANSWERS}]`, value);
  if (bestOf < n) refuseRequest('bestOf', `at least n (${n})`, bestOf);
  const { seed, logprobs = bestOf > n ? 0 : undefined } = rest;
  const encoded = await Promise.all(prompts.map((prompt) => llm.prepare(prompt, template)));
  const grammar = guide && (await llm.compileGuide(guide));
  const started: Generation[] = [];
  try {
    for (const { tokens, inserts } of encoded)
      for (let i = 0; i < bestOf; i++)
        started.push(
          llm.startTokens(tokens, {
            ...{ inserts, ...rest, logprobs },
            ...(grammar !== undefined && { grammar }),
            // What is no number is refused with the first answer.
            ...(i > 0 && typeof seed === 'number' && { seed: seed + i }),
          }),
        );
    const results = await Promise.all(started.map(({ result }) => result));
    return encoded.map((_, index) => {
      const all = results.slice(index * bestOf, (index + 1) * bestOf);
      const best = likeliest(all, n);
      const outputs = rest.logprobs === undefined ? best.map((one) => ({ ...one, logprobs: [] })) : best;
      return { ...(outputs[0] as GenerationResult), outputs };
    });
  } catch (error) {
    for (const generation of started) generation.abort(error);
    throw error;
  }
}

/** The `n` answers of the highest mean log-probability of their tokens, which they have, best first; all as they are. */
export function likeliest(answers: readonly GenerationResult[], n: number): readonly GenerationResult[] {
  if (answers.length <= n) return answers;
  return answers.toSorted((a, b) => meanLogprob(b) - meanLogprob(a)).slice(0, n);
}

function meanLogprob({ logprobs }: GenerationResult): number {
  return logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / Math.max(1, logprobs.length);
}
