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
  /** Those of the prompt that were found in the cache. */
  readonly cachedTokens: number;
  readonly finishReason: FinishReason;
  /** The stop string or the token that ended it, where one did. */
  readonly stopReason?: string | number;
  /** The request's seed, or the one that was drawn for it: asked for with it, the same tokens come. Absent: greedy. */
  readonly seed?: number;
  /** With `promptLogprobs`: one for each token of the prompt; none for the first, which nothing comes before. */
  readonly promptLogprobs?: readonly (SampledLogprobs | undefined)[];
  /** Milliseconds from the request to its first token. */
  readonly ttftMs: number;
}

/**
 * One request's answer: iterate it for chunks as they come, or await `result`. Every iterator gives the whole answer; one
 * that falls behind gets larger chunks. When the last of them stops before the end, the request is aborted. Failures and
 * aborts (REQUEST_ABORTED, with the text so far) reject iterators and `result`.
 */
export class Generation implements AsyncIterable<GenerationChunk> {
  readonly result: Promise<GenerationResult>;
  readonly #settle: { resolve(result: GenerationResult): void; reject(error: unknown): void };
  readonly #abort: (reason: unknown) => void;
  readonly #chunks: GenerationChunk[] = [];
  readonly #asleep = new Set<() => void>();
  #readers = 0;
  #ended = false;

  /** `abort` ends the request; it is called when the last reader gives up, too. */
  constructor(abort: (reason: unknown) => void) {
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
    return joined(this.#chunks, 0);
  }

  /** Ends the request with REQUEST_ABORTED, whose `cause` is the reason. Of no effect on one that has ended. */
  abort(reason?: unknown): void {
    if (!this.#ended) this.#abort(reason);
  }

  /** The engine's: more of the answer. */
  push(chunk: GenerationChunk): void {
    if (this.#ended || (chunk.text === '' && chunk.tokens.length === 0)) return;
    this.#chunks.push(chunk);
    this.#wake();
  }

  /** The engine's: the answer is complete. */
  finish(outcome: Omit<GenerationResult, keyof GenerationChunk>): void {
    this.#end(() => this.#settle.resolve({ ...this.soFar, ...outcome }));
  }

  /** The engine's: there will be no more of it. */
  fail(error: unknown): void {
    this.#end(() => this.#settle.reject(error));
  }

  #end(settle: () => void): void {
    if (this.#ended) return;
    this.#ended = true;
    settle();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#asleep) wake();
    this.#asleep.clear();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerationChunk, void, void> {
    this.#readers++;
    let read = 0;
    try {
      while (true) {
        if (read < this.#chunks.length) {
          const chunk = joined(this.#chunks, read);
          read = this.#chunks.length;
          yield chunk;
        } else if (this.#ended) break;
        else await new Promise<void>((resolve) => this.#asleep.add(resolve));
      }
      await this.result;
    } finally {
      this.#readers--;
      if (this.#readers === 0) this.abort();
    }
  }
}

/** The chunks from one on, as one. */
function joined(chunks: readonly GenerationChunk[], from: number): GenerationChunk {
  const rest = chunks.slice(from);
  return {
    text: rest.map(({ text }) => text).join(''),
    tokens: rest.flatMap(({ tokens }) => tokens),
    logprobs: rest.flatMap(({ logprobs }) => logprobs),
  };
}
