import { randomUUID } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { Generation, GenerationResult } from '../../engine/generation.js';
import type { GenerateOptions } from '../../engine/llm-engine-options.js';
import type { Guide } from '../../guided/index.js';
import type { SamplingOptions } from '../../sampling/sampling-params.js';
import { type Admission, whileInside } from '../admission.js';
import type { Metrics } from '../metrics.js';
import type { Served, ServedModel } from '../served-model.js';

/** What the routes of all APIs share. */
export interface ServerContext {
  readonly models: ReadonlyMap<string, Served>;
  readonly admission: Admission;
  readonly metrics: Metrics;
  /** Milliseconds that a request may take. */
  readonly requestTimeoutMs: number;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export const newId = (prefix: string): string => `${prefix}-${randomUUID().replaceAll('-', '')}`;
export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

export function usageOf(promptTokens: number, answerTokens: readonly number[]): Usage {
  const completion_tokens = answerTokens.reduce((sum, count) => sum + count, 0);
  return { prompt_tokens: promptTokens, completion_tokens, total_tokens: promptTokens + completion_tokens };
}

export interface Work {
  readonly model: ServedModel;
  readonly promptTokens: readonly number[];
  readonly sampling: SamplingOptions;
  readonly options: Partial<GenerateOptions>;
  readonly guide: Guide | undefined;
  /** Answers to this prompt. */
  readonly n: number;
}

/**
 * Starts the answers of a request, calls `use` with them, and ends what is not done when it returns or throws, or when
 * the client is gone.
 */
export async function withAnswers<T>(
  context: ServerContext,
  reply: FastifyReply,
  works: readonly Work[],
  use: (generations: readonly (readonly Generation[])[]) => Promise<T>,
): Promise<T> {
  const answers = works.reduce((sum, { n }) => sum + n, 0);
  return whileInside(context.admission, reply, answers, async ({ signal }) => {
    const generations: Generation[][] = [];
    for (const work of works) generations.push(await startAll(context, work, signal));
    return use(generations);
  });
}

/** Answers of one request differ by their seeds, which follow one another where the request has one. */
async function startAll(
  { metrics, requestTimeoutMs }: ServerContext,
  { model, promptTokens, sampling, options, guide, n }: Work,
  signal: AbortSignal,
): Promise<Generation[]> {
  const { llm, name } = model;
  const { seed } = sampling;
  const grammar = guide && (await llm.compileGuide(guide));
  return Array.from({ length: n }, (_, i) => {
    const generation = llm.startTokens(promptTokens, {
      ...sampling,
      ...options,
      ...(seed !== undefined && { seed: seed + i }),
      ...(grammar !== undefined && { grammar }),
      signal,
      timeoutMs: requestTimeoutMs,
    });
    metrics.watch(name, generation);
    return generation;
  });
}

/** OpenAI has no word for an answer that was ended from outside. */
export function finishReasonOf({ finishReason }: Pick<GenerationResult, 'finishReason'>): 'stop' | 'length' {
  return finishReason === 'length' ? 'length' : 'stop';
}
