import { AtbError } from '../errors.js';
import type { SampledLogprobs } from '../native/binding.js';
import type { FinishReason } from '../scheduler/sequence.js';

/** Text and tokens that came since the chunk before. */
export interface GenerationChunk {
  readonly text: string;
  readonly tokens: readonly number[];
  /** One entry per token when log-probs were asked for. */
  readonly logprobs: readonly SampledLogprobs[];
}

/** A finished answer. */
export interface GenerationResult extends GenerationChunk {
  readonly promptTokens: number;
  readonly finishReason: FinishReason;
  /** Milliseconds from the request to its first token. */
  readonly ttftMs: number;
}

/** Grows in place: an answer of many tokens is not copied with each of them. */
class Collected implements GenerationChunk {
  text = '';
  readonly tokens: number[] = [];
  readonly logprobs: SampledLogprobs[] = [];

  add(chunk: GenerationChunk): this {
    this.text += chunk.text;
    this.tokens.push(...chunk.tokens);
    this.logprobs.push(...chunk.logprobs);
    return this;
  }
}

/**
 * One request's answer: iterate it for chunks as they come, or await `result`. A reader that falls behind gets larger
 * chunks; one that stops iterating aborts the request. Failures and aborts (REQUEST_ABORTED, with the text so far)
 * reject both.
 */
export class Generation implements AsyncIterable<GenerationChunk> {
  readonly result: Promise<GenerationResult>;
  readonly #settle: { resolve(result: GenerationResult): void; reject(error: unknown): void };
  readonly #abort: () => void;
  readonly #all = new Collected();
  #pending: Collected | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  /** `abort` is called when the reader gives up. */
  constructor(abort: () => void) {
    this.#abort = abort;
    let settle: { resolve(result: GenerationResult): void; reject(error: unknown): void } | undefined;
    this.result = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#settle = settle as NonNullable<typeof settle>;
    // Whoever only iterates sees the failure there; without this it would also be an unhandled rejection.
    this.result.catch(() => {});
  }

  /** What has been generated so far. */
  get soFar(): GenerationChunk {
    return this.#all;
  }

  push(chunk: GenerationChunk): void {
    if (this.#ended || (chunk.text === '' && chunk.tokens.length === 0)) return;
    this.#all.add(chunk);
    this.#pending = (this.#pending ?? new Collected()).add(chunk);
    this.#wake?.();
  }

  finish(outcome: Omit<GenerationResult, keyof GenerationChunk>): void {
    this.#end(() => this.#settle.resolve({ ...this.#all, ...outcome }));
  }

  fail(error: unknown): void {
    this.#end(() => this.#settle.reject(error));
  }

  #end(settle: () => void): void {
    if (this.#ended) return;
    this.#ended = true;
    settle();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerationChunk, void, void> {
    try {
      while (true) {
        const chunk = this.#pending;
        this.#pending = undefined;
        if (chunk) yield chunk;
        else if (this.#ended) break;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
      await this.result;
    } finally {
      if (!this.#ended) this.#abort();
    }
  }
}

/** The error of a request that its caller ended. */
export function abortError(generation: Generation, reason: unknown): AtbError<'REQUEST_ABORTED'> {
  const { text, tokens } = generation.soFar;
  return new AtbError('REQUEST_ABORTED', { text, tokens: [...tokens] }, { cause: reason });
}
