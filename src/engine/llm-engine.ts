import { AtbError } from '../errors.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { BlockManager } from '../kv-cache/block-manager.js';
import type { SampledLogprobs } from '../native/index.js';
import type { ModelRunner } from '../runner/model-runner.js';
import {
  checkTokenIds,
  resolveSamplingParams,
  type SamplingOptions,
  type SamplingParams,
  toSamplerOptions,
} from '../sampling/sampling-params.js';
import { type Batch, Scheduler, type SchedulerOptions } from '../scheduler/scheduler.js';
import { type FinishReason, Sequence } from '../scheduler/sequence.js';
import { type OutputText, Postprocessor } from '../tokenizer/postprocessor.js';
import { abortError, Generation } from './generation.js';

/** One step as it was run, for figures. */
export interface StepReport {
  readonly kind: GraphKind;
  readonly sequences: number;
  readonly tokens: number;
  readonly durationMs: number;
}

export interface LLMEngineOptions extends SchedulerOptions {
  /**
   * Makes text of tokens and says when it ends. Absent: token ids in, token ids out, which end at the end tokens of the
   * model's configuration.
   */
  readonly postprocessor?: Postprocessor;
  /** What holds where a request says nothing. */
  readonly samplingDefaults?: SamplingOptions;
  readonly onStep?: (step: StepReport) => void;
}

export interface GenerateOptions {
  /** Ends the request: its iterator and its result reject with REQUEST_ABORTED. */
  readonly signal?: AbortSignal;
}

interface Request {
  readonly sequence: Sequence;
  readonly generation: Generation;
  readonly output: OutputText;
  readonly startMs: number;
  ttftMs: number | undefined;
  onAbort(): void;
  removeAbortListener(): void;
}

/**
 * The step loop: requests in, tokens and text out. Requests run together, step by step; which ones share a step never
 * changes their tokens.
 */
export class LLMEngine {
  readonly #runner: ModelRunner;
  readonly #postprocessor: Postprocessor;
  readonly #options: LLMEngineOptions;
  readonly #scheduler: Scheduler;
  readonly #requests = new Map<Sequence, Request>();
  /** What holds where a request says nothing. */
  readonly samplingDefaults: SamplingOptions;
  #lastId = 0;
  #loop: Promise<void> | undefined;
  #disposed = false;

  /** @throws REQUEST_INVALID when a limit makes no sense */
  constructor(runner: ModelRunner, options: LLMEngineOptions) {
    this.#runner = runner;
    this.#postprocessor = options.postprocessor ?? new Postprocessor(undefined, runner.config.eosTokenIds);
    this.samplingDefaults = options.samplingDefaults ?? {};
    this.#options = options;
    const { numBlocks, blockSize } = runner;
    this.#scheduler = new Scheduler(options, new BlockManager({ numBlocks, blockSize }));
  }

  /** Times that a sequence had to give its cache blocks back and was computed anew. */
  get numPreemptions(): number {
    return this.#scheduler.numPreemptions;
  }

  /**
   * Queues a prompt of token ids.
   * @throws REQUEST_INVALID, REQUEST_TOO_LONG before any work; ENGINE_DISPOSED
   */
  generate(
    promptTokens: ArrayLike<number>,
    sampling: SamplingOptions = {},
    { signal }: GenerateOptions = {},
  ): Generation {
    if (this.#disposed) throw new AtbError('ENGINE_DISPOSED', { object: 'the engine' });
    const { vocabSize } = this.#runner.config;
    const params = resolveSamplingParams(sampling, { vocabSize, defaults: this.samplingDefaults });
    const prompt = checkTokenIds('prompt', Int32Array.from(promptTokens), vocabSize);
    const sequence = new Sequence({ id: ++this.#lastId, promptTokens: prompt, maxTokens: params.maxTokens });
    const request = this.#newRequest(sequence, params, signal);
    if (signal?.aborted) {
      request.generation.fail(abortError(request.generation, signal.reason));
      return request.generation;
    }
    this.#scheduler.add(sequence);
    signal?.addEventListener('abort', request.onAbort, { once: true });
    this.#runner.addSequence(sequence, toSamplerOptions(params, prompt, sequence.id));
    this.#requests.set(sequence, request);
    // Starts after the caller's own turn, so that requests made together share their first step.
    this.#loop ??= Promise.resolve().then(() => this.#run());
    return request.generation;
  }

  /** Aborts what runs and waits for the step in flight. The runner stays its owner's. Idempotent. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const request of [...this.#requests.values()])
      this.#abort(request, new AtbError('ENGINE_DISPOSED', { object: 'the engine' }));
    await this.#loop;
  }

  #newRequest(sequence: Sequence, params: SamplingParams, signal: AbortSignal | undefined): Request {
    const onAbort = () => this.#abort(request, signal?.reason);
    const request: Request = {
      sequence,
      generation: new Generation(onAbort),
      output: this.#postprocessor.start(params),
      startMs: performance.now(),
      ttftMs: undefined,
      onAbort,
      removeAbortListener: () => signal?.removeEventListener('abort', onAbort),
    };
    return request;
  }

  #abort(request: Request, reason: unknown): void {
    if (!this.#scheduler.abort(request.sequence)) return;
    request.generation.push({ text: request.output.end(), tokens: [], logprobs: [] });
    request.generation.fail(abortError(request.generation, reason));
    this.#forget(request);
  }

  #forget({ sequence, removeAbortListener }: Request): void {
    removeAbortListener();
    this.#requests.delete(sequence);
    this.#runner.removeSequence(sequence);
  }

  async #run(): Promise<void> {
    for (let batch = this.#scheduler.schedule(); batch !== undefined; batch = this.#scheduler.schedule()) {
      const start = performance.now();
      try {
        const { tokens, logprobs } = await this.#runner.run(batch);
        this.#report(batch, performance.now() - start);
        this.#settle(batch, tokens, logprobs);
      } catch (error) {
        // The step failed as a whole; sequences that were not part of it go on.
        for (const sequence of this.#scheduler.fail(batch)) this.#fail(sequence, error);
      }
    }
    this.#loop = undefined;
  }

  #report({ kind, entries }: Batch, durationMs: number): void {
    const tokens = entries.reduce((sum, { count }) => sum + count, 0);
    this.#options.onStep?.({ kind, sequences: entries.length, tokens, durationMs });
  }

  #settle(batch: Batch, tokens: Int32Array, logprobs: readonly (SampledLogprobs | undefined)[]): void {
    const logprobsOf = new Map(batch.entries.map(({ sequence }, index) => [sequence, logprobs[index]]));
    const finished = this.#scheduler.postprocess(batch, tokens, (sequence) => {
      const request = this.#requests.get(sequence);
      return request && this.#take(request, sequence.tokens.at(-1) as number, logprobsOf.get(sequence));
    });
    for (const sequence of finished) {
      if (sequence.finishReason === 'error')
        this.#fail(sequence, new AtbError('REQUEST_NOT_FINITE', { step: sequence.outputLen }));
      else this.#finish(sequence);
    }
  }

  #take(request: Request, token: number, logprob: SampledLogprobs | undefined): FinishReason | undefined {
    request.ttftMs ??= performance.now() - request.startMs;
    const { text, finishReason } = request.output.push(token);
    request.generation.push({ text, tokens: [token], logprobs: logprob ? [logprob] : [] });
    return finishReason;
  }

  #finish(sequence: Sequence): void {
    const request = this.#requests.get(sequence);
    if (!request) return;
    const { promptLen, finishReason = 'stop' } = sequence;
    request.generation.finish({ promptTokens: promptLen, finishReason, ttftMs: request.ttftMs ?? 0 });
    this.#forget(request);
  }

  #fail(sequence: Sequence, error: unknown): void {
    const request = this.#requests.get(sequence);
    if (!request) return;
    request.generation.fail(error);
    this.#forget(request);
  }
}
