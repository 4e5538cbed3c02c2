import { AtbError, refuseRequest } from '../errors.js';
import { OBJECT, requireArgument } from '../require-argument.js';
import { POLICY_NAMES, type PolicyName } from './policies/index.js';

/** More tokens in a row are never right. */
const MAX_DRAFT = 15;

export interface SchedulerOptions {
  /** Sequences that run at the same time. */
  readonly maxBatchSize: number;
  /** Sequences whose prompts share a step; `maxBatchSize` when absent. */
  readonly maxPrefillBatchSize?: number;
  /** Tokens of a step that computes prompts, those that decode beside them included. */
  readonly maxPrefillTokens: number;
  /** Prompt and new tokens of one sequence. */
  readonly maxModelLen: number;
  /** What sets `maxModelLen`, for messages: "maxInputLength + maxOutputLength"; its own name when absent. */
  readonly maxModelLenName?: string;
  /** Cut prompts to fill steps exactly, and let running sequences decode in the same steps. */
  readonly chunkedPrefill: boolean;
  /** Who goes first; `fcfs` when absent. */
  readonly policy?: PolicyName;
  /** Share blocks of the cache among sequences that begin alike; true when absent. */
  readonly prefixCaching?: boolean;
  /**
   * Tokens that are guessed ahead of a sequence at most; verified in the same step. 0 when absent: none.
   */
  readonly draftTokens?: number;
  /** Who guesses: the sequence's own text, or a model that the step loop asks; `text` when absent. */
  readonly drafter?: 'text' | 'model';
}

export type FilledOptions = Required<SchedulerOptions>;

/** Options with their defaults. @throws REQUEST_INVALID when a limit makes no sense. */
export function fillOptions(options: SchedulerOptions): FilledOptions {
  requireArgument('new Scheduler', 'the options', OBJECT, options);
  const filled = {
    ...options,
    maxPrefillBatchSize: options.maxPrefillBatchSize ?? options.maxBatchSize,
    maxModelLenName: options.maxModelLenName ?? 'maxModelLen',
    policy: options.policy ?? 'fcfs',
    prefixCaching: options.prefixCaching ?? true,
    draftTokens: options.draftTokens ?? 0,
    drafter: options.drafter ?? 'text',
  };
  const { maxBatchSize, maxPrefillBatchSize, maxPrefillTokens, maxModelLen, chunkedPrefill } = filled;
  const counts = { maxBatchSize, maxPrefillBatchSize, maxPrefillTokens, maxModelLen };
  for (const [field, found] of Object.entries(counts))
    if (!Number.isSafeInteger(found) || found < 1) refuseRequest(field, 'an integer of at least 1', found);
  const { draftTokens } = filled;
  if (!Number.isSafeInteger(draftTokens) || draftTokens < 0 || draftTokens > MAX_DRAFT)
    refuseRequest('draftTokens', `an integer in [0, ${MAX_DRAFT}]`, draftTokens);
  for (const field of ['chunkedPrefill', 'prefixCaching'] as const)
    if (typeof filled[field] !== 'boolean') refuseRequest(field, 'true or false', filled[field]);
  if (!POLICY_NAMES.includes(filled.policy))
    refuseRequest('policy', `one of ${POLICY_NAMES.join(', ')}`, filled.policy);
  // Otherwise those that decode could use up every step and a prompt begun would never end.
  if (chunkedPrefill && maxPrefillTokens < maxBatchSize) {
    const expected = `at least maxBatchSize (${maxBatchSize}) with chunked prefill`;
    refuseRequest('maxPrefillTokens', expected, maxPrefillTokens);
  }
  return filled;
}

/** What a request needs room for; a `Sequence` is one. */
export interface RequestLengths {
  readonly promptLen: number;
  /** New tokens at most. */
  readonly maxTokens: number;
}

/** @throws REQUEST_INVALID for an empty prompt or no new tokens, REQUEST_TOO_LONG for a request that could never end */
export function refuseImpossible(
  { promptLen, maxTokens }: RequestLengths,
  { maxModelLen, maxModelLenName, maxPrefillTokens, chunkedPrefill }: FilledOptions,
  cacheTokens: number,
): void {
  if (promptLen === 0) refuseRequest('prompt', 'at least one token', []);
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 1)
    refuseRequest('maxTokens', 'an integer of at least 1', maxTokens);
  const refuse = (neededLen: number, limit: number, what: string): void => {
    if (neededLen > limit)
      throw new AtbError('REQUEST_TOO_LONG', { promptLen, maxTokens, neededLen, limit, what });
  };
  refuse(promptLen + maxTokens, maxModelLen, `the model length (${maxModelLenName})`);
  // The last new token's keys and values are never needed.
  refuse(promptLen + maxTokens - 1, cacheTokens, 'the KV cache');
  if (!chunkedPrefill)
    refuse(promptLen, maxPrefillTokens, 'a prefill step (maxPrefillTokens, without chunked prefill)');
}
