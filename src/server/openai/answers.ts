import { randomUUID } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { Generation, GenerationResult } from '../../engine/generation.js';
import type { GenerateOptions } from '../../engine/llm-engine-options.js';
import type { Guide } from '../../guided/index.js';
import type { Insert } from '../../media/index.js';
import type { SamplingOptions } from '../../sampling/sampling-params.js';
import type { Clients } from '../access.js';
import { type Admission, whileInside } from '../admission.js';
import type { Metrics } from '../metrics.js';
import type { Served, ServedModel } from '../served-model.js';
import type { SamplingFields } from './fields.js';

/** What the routes of all APIs share. */
export interface ServerContext {
  readonly models: ReadonlyMap<string, Served>;
  readonly admission: Admission;
  readonly clients: Clients;
  readonly metrics: Metrics;
  /** Milliseconds that a request may take. */
  readonly requestTimeoutMs: number;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  /** Of chats. */
  readonly completion_tokens_details?: { readonly reasoning_tokens: number };
}

/** Ids begin as clients know them: `chatcmpl-`, `resp_`, …. */
export const newId = (prefix: string): string => prefix + randomUUID().replaceAll('-', '');
export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** What answers used; `prompts` has the answers to each prompt, which counts once; `reasoning`, their tokens of reasoning. */
export function usageOf(prompts: readonly (readonly GenerationResult[])[], reasoning?: number): Usage {
  const sum = (
    all: readonly (GenerationResult | undefined)[],
    of: (one: GenerationResult) => number,
  ): number => all.reduce((total, one) => total + (one ? of(one) : 0), 0);
  const firsts = prompts.map(([first]) => first);
  const completion = sum(prompts.flat(), ({ tokens }) => tokens.length);
  return {
    ...usage(
      sum(firsts, (one) => one.promptTokens),
      completion,
      sum(firsts, (one) => one.cachedTokens),
    ),
    ...(reasoning !== undefined && {
      completion_tokens_details: { reasoning_tokens: Math.min(reasoning, completion) },
    }),
  };
}

/** Tokens that reasoning has as a text: as many as were written, or a few less where the model spelled it otherwise. */
export async function reasoningTokens({ tokenizer }: ServedModel, texts: readonly string[]): Promise<number> {
  const counts = texts.map(async (text) =>
    text === '' ? 0 : (await tokenizer.encodeAsync(text, { addSpecialTokens: false })).length,
  );
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

function usage(promptTokens: number, completionTokens: number, cachedTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** What the chunks of a stream say of its usage: nothing, or only the last one, or each what came so far. */
export class StreamUsage {
  readonly #mode: 'none' | 'last' | 'each';
  readonly #promptTokens: number;
  #tokens = 0;

  constructor({ stream_options: options }: SamplingFields, promptTokens: number) {
    const each = options?.continuous_usage_stats ? 'each' : 'last';
    this.#mode = options?.include_usage ? each : 'none';
    this.#promptTokens = promptTokens;
  }

  /** More tokens have come. */
  take(tokens: readonly number[]): void {
    this.#tokens += tokens.length;
  }

  /** Fields of a chunk with choices. */
  get fields(): { readonly usage?: Usage | null } {
    if (this.#mode === 'none') return {};
    return { usage: this.#mode === 'each' ? usage(this.#promptTokens, this.#tokens, 0) : null };
  }

  /** The chunk behind all answers, if there is to be one. */
  last(head: object, prompts: readonly (readonly GenerationResult[])[], reasoning?: number): object[] {
    return this.#mode === 'none' ? [] : [{ ...head, choices: [], usage: usageOf(prompts, reasoning) }];
  }
}

export interface Work {
  readonly model: ServedModel;
  readonly promptTokens: ArrayLike<number>;
  /** What stands among them that is no text; nothing when absent. */
  readonly inserts?: readonly Insert[];
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
  return whileInside(context, reply, answers, async ({ signal }) => {
    const generations: Generation[][] = [];
    for (const work of works) generations.push(await startAll(context, work, signal));
    return use(generations);
  });
}

/** Answers of one request differ by their seeds, which follow one another where the request has one. */
async function startAll(
  { metrics, requestTimeoutMs }: ServerContext,
  { model, promptTokens, inserts, sampling, options, guide, n }: Work,
  signal: AbortSignal,
): Promise<Generation[]> {
  const { llm, name, adapter } = model;
  const { seed } = sampling;
  const grammar = guide && (await llm.compileGuide(guide));
  return Array.from({ length: n }, (_, i) => {
    const generation = llm.startTokens(promptTokens, {
      ...(inserts && { inserts }),
      ...sampling,
      ...options,
      ...(seed !== undefined && { seed: seed + i }),
      ...(grammar !== undefined && { grammar }),
      ...(adapter && { adapter: adapter.name }),
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
