import type { SampledLogprobs, StepResult } from '../native/index.js';
import type { BatchEntry, NewTokens, StepSequence } from '../scheduler/batch.js';
import { headRowsOf } from './steps.js';

/** What a step says of its entries, in their order. */
export interface BatchTokens {
  /** -1 for an entry that does not sample; other negative numbers say why there is no token (`StepResult`). */
  readonly tokens: ArrayLike<NewTokens>;
  /** Of each new token; undefined where none were asked for. */
  readonly logprobs: ReadonlyArray<readonly (SampledLogprobs | undefined)[]>;
}

/** What comes of a batch. */
export type BatchResult = BatchTokens & Omit<StepResult, keyof BatchTokens>;

/** What comes of a batch that was computed in parts. */
export function joinedResults(parts: readonly BatchResult[]): BatchResult {
  const [first] = parts;
  if (first && parts.length === 1) return first;
  const logits = parts.flatMap((part) => part.logits ?? []);
  const rows = logits.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  const width = logits[0]?.shape[1] ?? 0;
  const data = new Float32Array(rows * width);
  let at = 0;
  for (const part of logits) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return {
    tokens: parts.flatMap(({ tokens }) => Array.from(tokens)),
    logprobs: parts.flatMap(({ logprobs }) => logprobs),
    ...(logits.length > 0 && { logits: { dtype: 'f32', shape: [rows, width], data } as const }),
  };
}

/** Which rows of logits are sampled, by whom, and which depend on the token of the row before. */
export function samplingRowsOf(
  entries: readonly BatchEntry<StepSequence>[],
  samplerOf: (sequence: StepSequence) => number | undefined,
): { readonly samplers: Int32Array; readonly drafts?: Int32Array } {
  const count = entries.reduce((sum, entry) => sum + headRowsOf(entry), 0);
  const samplers = new Int32Array(count).fill(-1);
  const drafts = new Int32Array(count).fill(-1);
  let end = 0;
  for (const entry of entries) {
    end += headRowsOf(entry);
    // A sequence that was aborted while somebody guessed has none any more.
    const sampler = entry.sample ? samplerOf(entry.sequence) : undefined;
    if (sampler === undefined) continue;
    const guesses = entry.drafts ?? [];
    const first = end - 1 - guesses.length;
    samplers.fill(sampler, first, end);
    drafts.set(guesses, first);
  }
  return entries.some((entry) => entry.drafts) ? { samplers, drafts } : { samplers };
}

/** What came of those rows. */
export function newTokensOf(
  entries: readonly BatchEntry<StepSequence>[],
  { tokens, logprobs }: Pick<StepResult, 'tokens' | 'logprobs'>,
): BatchTokens {
  let end = 0;
  const rows = entries.map((entry) => {
    end += headRowsOf(entry);
    const first = end - 1 - (entry.drafts?.length ?? 0);
    // After a guess that was wrong, no row was sampled.
    let last = first;
    while (last < end - 1 && tokens[last] === entry.drafts?.[last - first]) last++;
    return { first, end: last + 1 };
  });
  return {
    tokens: rows.map(({ first, end: to }, index) =>
      entries[index]?.drafts ? [...tokens.subarray(first, to)] : (tokens[first] ?? -1),
    ),
    logprobs: rows.map(({ first, end: to }) => logprobs.slice(first, to)),
  };
}
