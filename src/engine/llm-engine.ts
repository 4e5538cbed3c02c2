import assert from 'node:assert/strict';
import { AtbError, requestError } from '../errors.js';
import { BlockManager } from '../kv-cache/block-manager.js';
import type { Insert } from '../media/index.js';
import { observer } from '../runner/observer.js';
import { checkOptions } from '../runner/options.js';
import type { BatchTokens } from '../runner/sampling-rows.js';
import {
  type SamplingOptions,
  type SamplingParams,
  type SamplingPresets,
} from '../sampling/sampling-params.js';
import { checkTokenIds } from '../sampling/token-ids.js';
import type { Batch } from '../scheduler/batch.js';
import { PromptBudget } from '../scheduler/prompt-budget.js';
import { Scheduler } from '../scheduler/scheduler.js';
import type { Sequence } from '../scheduler/sequence.js';
import { type SchedulerStats, sumStats } from '../scheduler/stats.js';
import { Postprocessor } from '../tokenizer/postprocessor.js';
import { AbortSignals } from './abort-signals.js';
import { checkInserts, resolveAhead } from './check-inserts.js';
import type { Generation } from './generation.js';
import { ignoringErrors } from './ignoring-errors.js';
import type {
  EngineStats,
  GenerateOptions,
  LLMEngineOptions,
  StepReport,
  StepRunner,
} from './llm-engine-options.js';
import { GENERATE_OPTIONS, LLM_ENGINE_OPTIONS } from './options.js';
import { noTokenError } from './outcome.js';
import { scoredChunkLen, takePromptLogprobs } from './prompt-logprobs.js';
import { Request, sequenceOf } from './request.js';
import { requireRunner } from './require-runner.js';
import { Speculation } from './speculation.js';

/**
 * The step loop: requests in, tokens and text out. Requests run together, step by step; which ones share a step never
 * changes their tokens.
 *
 * A request fails alone: what its decoder or its signal throws ends that request; what a step throws, those that were
 * part of it; what the scheduler throws, which would be a defect, those that were running. Others go on, and so does the
 * loop. Every failure is an AtbError.
 */
export class LLMEngine {
  readonly #runner: StepRunner;
  readonly #postprocessor: Postprocessor;
  readonly #options: LLMEngineOptions;
  readonly #onStep: (step: StepReport) => void;
  readonly #signals = new AbortSignals();
  /** In order of arrival. */
  readonly #requests = new Map<Sequence, Request>();
  #scheduler: Scheduler;
  /** What left the scheduler half-way through its work; it is replaced before the next step. */
  #fault: { readonly error: unknown } | undefined;
  /** Of schedulers before the present one. */
  #past: SchedulerStats | undefined;
  readonly #promptBudget = new PromptBudget();
  readonly #speculation: Speculation;
  #lastId = 0;
  #loop: Promise<void> | undefined;
  #disposed = false;
  /** What holds where a request says nothing. */
  readonly samplingDefaults: SamplingPresets;

  /** @throws REQUEST_INVALID when a limit makes no sense, OPTION_UNKNOWN */
  constructor(runner: StepRunner, options: LLMEngineOptions) {
    checkOptions(options, LLM_ENGINE_OPTIONS, 'LLMEngineOptions');
    this.#runner = requireRunner('new LLMEngine', runner);
    this.#postprocessor = options.postprocessor ?? new Postprocessor(undefined, runner.config.eosTokenIds);
    this.samplingDefaults = options.samplingDefaults ?? {};
    this.#options = options;
    this.#onStep = observer('onStep', options.onStep);
    this.#speculation = new Speculation(options.draftModel, options.draftLength);
    this.#scheduler = this.#newScheduler();
  }

  get stats(): EngineStats {
    return { ...sumStats(this.#past, this.#scheduler.stats), draftSpeedUp: this.#speculation.speedUp };
  }

  /**
   * Queues a prompt of token ids: an array or a typed array.
   * @throws REQUEST_INVALID, REQUEST_TOO_LONG before any work; ENGINE_DISPOSED
   */
  generate(
    promptTokens: ArrayLike<number>,
    sampling: SamplingOptions = {},
    options: GenerateOptions = {},
  ): Generation {
    if (this.#disposed) throw new AtbError('ENGINE_DISPOSED', { object: 'the engine' });
    checkOptions(options, GENERATE_OPTIONS, 'GenerateOptions');
    const { signal, inserts = [] } = options;
    checkInserts(inserts, promptTokens?.length ?? 0, this.#runner);
    const params = this.#resolve(promptTokens, sampling, inserts);
    const request = new Request({
      id: ++this.#lastId,
      promptTokens,
      params,
      postprocessor: this.#postprocessor,
      maxScoredLen: scoredChunkLen(this.#runner.config.vocabSize),
      options,
      runner: this.#runner,
      abort: (aborted, reason) => this.#abort(aborted, reason),
    });
    if (signal?.aborted) {
      request.abort(signal.reason);
      return request.generation;
    }
    this.#start(request, params);
    // Starts after the caller's own turn, so that requests made together share their first step.
    this.#loop ??= Promise.resolve().then(() => this.#run());
    return request.generation;
  }

  /** Gives back the blocks of a request that keeps them. Idempotent. */
  release(generation: Generation): void {
    this.#scheduler.release(sequenceOf(generation));
  }

  /** Aborts what runs and waits for the step in flight. The runner stays its owner's. Idempotent. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const request of [...this.#requests.values()])
      this.#abort(request, new AtbError('ENGINE_DISPOSED', { object: 'the engine' }));
    await this.#loop;
  }

  /** Checks everything about a request before anything is copied. */
  #resolve(tokens: ArrayLike<number>, sampling: SamplingOptions, inserts: readonly Insert[]): SamplingParams {
    const { vocabSize, embeddingRows = vocabSize } = this.#runner.config;
    const params = resolveAhead(sampling, { vocabSize, defaults: this.samplingDefaults }, inserts);
    // Nobody looks at each of a billion tokens.
    if (ArrayBuffer.isView(tokens) || Array.isArray(tokens))
      this.#scheduler.refuseImpossible({ promptLen: tokens.length, maxTokens: params.maxTokens });
    checkTokenIds('prompt', tokens, embeddingRows);
    return params;
  }

  /** All of it or, when somebody throws, nothing. */
  #start(request: Request, params: SamplingParams): void {
    const { sequence, signal, onAbort } = request;
    try {
      this.#scheduler.add(sequence);
      this.#requests.set(sequence, request);
      const sampler = request.samplerOptions(params, this.#runner.config.vocabSize);
      this.#runner.addSequence(sequence, sampler);
      this.#speculation.addSequence(sequence, sampler);
      if (signal) this.#signals.add(signal, onAbort);
    } catch (error) {
      if (this.#requests.has(sequence)) {
        this.#guard(() => this.#scheduler.abort(sequence));
        this.#forget(request);
      }
      throw requestError('starting', error);
    }
  }

  #newScheduler(): Scheduler {
    const drafter = this.#options.draftModel ? 'model' : 'text';
    return new Scheduler({ ...this.#options, drafter }, new BlockManager(this.#runner));
  }

  /** Runs steps while there are requests. Never rejects. */
  async #run(): Promise<void> {
    for (let batch = this.#nextBatch(); batch !== undefined; batch = this.#nextBatch())
      await this.#step(batch);
    this.#loop = undefined;
  }

  /** Undefined when no request is left, which comes to pass: each failure ends a request. */
  #nextBatch(): Batch | undefined {
    if (this.#fault) this.#restart(this.#fault.error);
    while (this.#requests.size > 0) {
      try {
        this.#endOverdue();
        if (this.#requests.size === 0) return undefined;
        const batch = this.#scheduler.schedule(this.#promptBudget.room, this.#speculation.draftLength);
        assert(batch !== undefined, 'there are requests, but no step for them');
        return batch;
      } catch (error) {
        const ended = this.#restart(error);
        const [oldest] = this.#requests.keys();
        if (ended === 0 && oldest !== undefined) {
          this.#guard(() => this.#scheduler.abort(oldest));
          this.#fail(oldest, requestError('planning a step', error));
        }
      }
    }
    return undefined;
  }

  /** A new scheduler with every block free, for those that held none; the others fail. Returns how many failed. */
  #restart(error: unknown): number {
    this.#fault = undefined;
    this.#past = this.stats;
    this.#scheduler = this.#newScheduler();
    const before = this.#requests.size;
    for (const sequence of [...this.#requests.keys()]) {
      try {
        if (sequence.hasStarted) throw error;
        this.#scheduler.add(sequence);
      } catch (failure) {
        this.#fail(sequence, requestError('planning a step', failure));
      }
    }
    return before - this.#requests.size;
  }

  async #step(planned: Batch): Promise<void> {
    const drafted = await this.#speculation.draft(planned, this.#scheduler);
    const { batch } = drafted;
    const start = performance.now();
    let result: Awaited<ReturnType<StepRunner['run']>>;
    try {
      const scores = batch.entries.some((entry) => entry.scores);
      result = await this.#runner.run(batch, { logits: scores });
      if (scores && result.logits)
        takePromptLogprobs(batch.entries, result.logits, (of) => this.#requests.get(of)?.promptLogprobs);
      assert(result.tokens.length >= batch.entries.length, 'a step without a token for each entry');
    } catch (error) {
      // The step failed as a whole; sequences that were not part of it go on.
      const failure = requestError('computing a step', error);
      this.#guard(() => {
        for (const sequence of this.#scheduler.fail(batch)) this.#fail(sequence, failure);
      });
      return;
    }
    const durationMs = performance.now() - start;
    this.#promptBudget.observe(batch, durationMs);
    this.#onStep(this.#speculation.observe(drafted, durationMs, result.tokens));
    this.#guard(() => this.#settle(batch, result));
  }

  #settle(batch: Batch, { tokens, logprobs }: BatchTokens): void {
    const indexOf = new Map(batch.entries.map(({ sequence }, index) => [sequence, index]));
    const failures = new Map<Sequence, AtbError>();
    const finished = this.#scheduler.postprocess(batch, tokens, (sequence, at) => {
      const request = this.#requests.get(sequence);
      try {
        return request?.take(logprobs[indexOf.get(sequence) ?? 0]?.[at]);
      } catch (error) {
        failures.set(sequence, requestError('making text of tokens', error));
        return 'error';
      }
    });
    for (const sequence of finished) {
      const noToken = () => noTokenError(tokens[indexOf.get(sequence) ?? 0], sequence.outputLen);
      if (sequence.finishReason !== 'error') this.#finish(sequence);
      else this.#fail(sequence, failures.get(sequence) ?? noToken());
    }
  }

  #finish(sequence: Sequence): void {
    const request = this.#requests.get(sequence);
    if (!request) return;
    this.#forget(request);
    request.finish();
  }

  #fail(sequence: Sequence, error: AtbError): void {
    const request = this.#requests.get(sequence);
    if (!request) return;
    this.#forget(request);
    request.generation.fail(error);
  }

  #endOverdue(): void {
    for (const sequence of this.#scheduler.overdue(performance.now())) {
      const request = this.#requests.get(sequence);
      if (request)
        this.#abort(request, new AtbError('REQUEST_TIMEOUT', { timeoutMs: request.timeoutMs ?? 0 }));
    }
  }

  #abort(request: Request, reason: unknown): void {
    if (!this.#requests.has(request.sequence)) return;
    this.#guard(() => this.#scheduler.abort(request.sequence));
    this.#forget(request);
    request.abort(reason);
  }

  #forget({ sequence, signal, onAbort }: Request): void {
    this.#requests.delete(sequence);
    // The request has ended, whatever these say; a runner that was disposed has no samplers any more.
    if (signal) ignoringErrors(() => this.#signals.delete(signal, onAbort));
    ignoringErrors(() => this.#runner.removeSequence(sequence));
    this.#speculation.removeSequence(sequence);
  }

  /** The scheduler's work: when it is left half-way, its accounts are not to be trusted. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fault ??= { error };
    }
  }
}
