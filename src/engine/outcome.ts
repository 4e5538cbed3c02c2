import { AtbError, requestError } from '../errors.js';
import type { NewTokens } from '../scheduler/batch.js';
import type { Generation, GenerationChunk, GenerationResult } from './generation.js';
import type { PAAnswer } from './pa-options.js';

/** A finished answer, or what there is of one that failed. */
export type Outcome =
  | GenerationResult
  | (GenerationChunk & Required<Pick<PAAnswer, 'finishReason' | 'error'>>);

/** Never rejects; `onText` has been called for all of it. */
export async function settle(generation: Generation, onText: (text: string) => void): Promise<Outcome> {
  try {
    for await (const { text } of generation) if (text) onText(text);
    return await generation.result;
  } catch (thrown) {
    const error = requestError('generating', thrown);
    const finishReason = error.code === 'REQUEST_ABORTED' ? 'abort' : 'error';
    return { ...generation.soFar, finishReason, error };
  }
}

/** Stands for a token where a grammar leaves none; other negative ones where logits are not finite. */
const NONE_ALLOWED = -3;

/** Why a step gave a sequence no token. */
export function noTokenError(tokens: NewTokens | undefined, step: number): AtbError {
  const token = typeof tokens === 'number' ? tokens : tokens?.at(-1);
  return new AtbError(token === NONE_ALLOWED ? 'GUIDE_STUCK' : 'REQUEST_NOT_FINITE', { step });
}
