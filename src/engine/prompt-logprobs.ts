import type { Tensor } from '../dtype.js';
import type { SampledLogprobs } from '../native/index.js';
import { headRowsOf } from '../runner/steps.js';
import type { BatchEntry } from '../scheduler/batch.js';
import type { Sequence } from '../scheduler/sequence.js';

/** Logits that one step returns for one sequence at most: 64 MB of them. */
const MAX_LOGITS = 2 ** 24;

/** Tokens of one step, of a sequence whose prompt is scored. */
export const scoredChunkLen = (vocabSize: number): number => Math.max(1, Math.floor(MAX_LOGITS / vocabSize));

/** log(sum of e^logit), in double precision; NaN where a logit is. */
export function logSumExp(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (!(logit <= max)) max = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  return max + Math.log(sum);
}

/** Log-softmax of one row: of `token`, and of the `count` best, the lower token first among equals. */
function logprobsOf(logits: Float32Array, token: number, count: number): SampledLogprobs {
  const sum = logSumExp(logits);
  const top: number[] = [];
  for (let at = 0; count > 0 && at < logits.length; at++) {
    const logit = logits[at] as number;
    if (top.length === count && !(logit > (logits[top[count - 1] as number] as number))) continue;
    const place = top.findIndex((other) => (logits[other] as number) < logit);
    top.splice(place < 0 ? top.length : place, 0, at);
    if (top.length > count) top.pop();
  }
  return {
    // A token that the model embeds and never predicts has no logit.
    logprob: (logits[token] ?? Number.NEGATIVE_INFINITY) - sum,
    topTokens: Int32Array.from(top),
    topLogprobs: Float32Array.from(top, (at) => (logits[at] as number) - sum),
  };
}

/** How likely a prompt's tokens were, by position; none for the first. Each comes with so many best ones. */
export interface PromptScores {
  readonly count: number;
  readonly into: (SampledLogprobs | undefined)[];
}

/** Takes what a step says about the prompts that it computed: for each sequence, by position, how likely its token was. */
export function takePromptLogprobs(
  entries: readonly BatchEntry[],
  logits: Tensor<'f32'>,
  scoresOf: (sequence: Sequence) => PromptScores | undefined,
): void {
  const width = logits.shape[1] ?? 0;
  let firstRow = 0;
  for (const entry of entries) {
    const { sequence, start, count, scores } = entry;
    if (scores) {
      // One that was aborted meanwhile has no place for them.
      const to = scoresOf(sequence);
      for (let row = 0; to && row < count && start + row + 1 < sequence.promptLen; row++) {
        const from = (firstRow + row) * width;
        const next = sequence.tokens[start + row + 1] as number;
        to.into[start + row + 1] = logprobsOf(logits.data.subarray(from, from + width), next, to.count);
      }
    }
    firstRow += headRowsOf(entry);
  }
}
