import { refuseRequest } from '../errors.js';
import { aheadOf, endOf, type Insert } from '../media/index.js';
import {
  resolveSamplingParams,
  type SamplingContext,
  type SamplingOptions,
  type SamplingParams,
} from '../sampling/sampling-params.js';
import type { StepRunner } from './llm-engine-options.js';

/**
 * @throws REQUEST_INVALID for inserts that do not follow one another within the prompt, for a model without an encoder,
 * and for more than a model has places for
 */
export function checkInserts(
  inserts: readonly Insert[],
  promptLen: number,
  runner: Pick<StepRunner, 'takesInserts' | 'checkShown'>,
): void {
  if (!Array.isArray(inserts)) refuseRequest('inserts', 'a list', inserts);
  if (inserts.length > 0 && !runner.takesInserts)
    refuseRequest('inserts', 'none: this model reads nothing but text', inserts.length);
  let behind = 0;
  for (const [index, insert] of inserts.entries()) {
    const { start, input } = insert;
    // What goes on behind the prompt begins in it and is the last.
    const end = endOf(insert) - (index === inserts.length - 1 ? aheadOf(inserts) : 0);
    const isPlaced = Number.isSafeInteger(start) && start >= behind && end <= promptLen;
    if (!isPlaced || input.count < 1) {
      const expected = `tokens of the prompt, from ${behind} to below ${promptLen}`;
      refuseRequest(`inserts[${index}]`, expected, `${input.count} from ${start} on`);
    }
    behind = endOf(insert);
  }
  runner.checkShown?.(inserts, promptLen);
}

/** How tokens are chosen where the last insert goes on behind the prompt: no more of them than it has rows for. */
export function resolveAhead(
  options: SamplingOptions,
  { defaults, ...context }: SamplingContext,
  inserts: readonly Insert[],
): SamplingParams {
  const ahead = aheadOf(inserts);
  if (ahead === 0) return resolveSamplingParams(options, { ...context, ...(defaults && { defaults }) });
  const found = resolveSamplingParams(options, { ...context, defaults: { maxTokens: ahead, ...defaults } });
  return { ...found, maxTokens: Math.min(found.maxTokens, ahead) };
}
