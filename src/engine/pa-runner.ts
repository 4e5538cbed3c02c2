import type { DraftModel } from '../runner/draft-model.js';
import type { ModelRunner } from '../runner/model-runner.js';
import { observer } from '../runner/observer.js';
import { checkOptions } from '../runner/options.js';
import type { TextProcessing } from '../runner/text-processing.js';
import { mergeSampling, resolveSamplingParams, type SamplingOptions } from '../sampling/sampling-params.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';
import type { ChatTemplateOptions } from '../tokenizer/input-builder.js';
import { encodePrompt, encodePromptNow } from './encode-prompt.js';
import type { Generation } from './generation.js';
import type { LLMEngine } from './llm-engine.js';
import type { EngineStats, GenerateOptions, StepReport } from './llm-engine-options.js';
import { type EngineLimits, type OpenEngine, openEngine } from './open-engine.js';
import { INFER_OPTIONS, PA_RUNNER_OPTIONS } from './options.js';
import { type Outcome, settle } from './outcome.js';
import { type PAInputs, type Prompt, promptsOf } from './pa-inputs.js';
import type { InferOptions, PAAnswer, PARunnerOptions } from './pa-options.js';
import { requireOpen } from './require-runner.js';

export type { PAInputs };

export interface PAMetrics {
  readonly loadMs: number;
  readonly endToEndMs: number;
  /** From the start of `infer` to the first token of each answer that did not fail. */
  readonly ttftMs: readonly number[];
  readonly prefillStepMs: readonly number[];
  readonly decodeStepMs: readonly number[];
  /** Prompt tokens that prefill steps computed. */
  readonly prefillTokens: number;
  /** Tokens that decode steps generated. */
  readonly decodeTokens: number;
  /** Tokens that were guessed ahead, and how many were right; what it gained since the start. Absent without a draft. */
  readonly guesses?: { readonly drafted: number; readonly accepted: number; readonly speedUp: number };
  readonly peakMemoryBytes: number;
  readonly isa: string;
  readonly threads: number;
}

export interface PAResult {
  /** One for each prompt, in their order. */
  readonly answers: readonly PAAnswer[];
  readonly metrics: PAMetrics;
}

/** The original's runner: loads a checkpoint, answers a list of prompts by continuous batching. */
export class PARunner {
  readonly runner: ModelRunner;
  /** For requests one by one, with streaming and aborts. */
  readonly engine: LLMEngine;
  /** Its tokenizer is absent with `loadTokenizer: false`. */
  readonly text: TextProcessing;
  readonly limits: EngineLimits;
  readonly #draft: DraftModel | undefined;
  /** Steps of each `infer` that runs. */
  readonly #steps: Set<StepReport[]>;

  private constructor(open: OpenEngine, steps: Set<StepReport[]>) {
    requireOpen('PARunner', '{ modelPath }', open);
    const { runner, engine, draft, text, limits } = open;
    this.runner = runner;
    this.engine = engine;
    this.#draft = draft;
    this.text = text;
    this.limits = limits;
    this.#steps = steps;
  }

  /** @throws ROUTER_*, CONFIG_*, WEIGHT_*, TOKENIZER_*, NATIVE_*, REQUEST_INVALID, OPTION_UNKNOWN, CACHE_TOO_SMALL */
  static async load(options: PARunnerOptions): Promise<PARunner> {
    checkOptions(options, PA_RUNNER_OPTIONS, 'PARunnerOptions');
    const steps = new Set<StepReport[]>();
    const onStep = (step: StepReport): void => {
      for (const list of steps) list.push(step);
    };
    return new PARunner(await openEngine({ ...options, onStep }), steps);
  }

  /** Runs prefill and decode once, so that memory is planned and touched before figures are taken. */
  async warmUp(): Promise<void> {
    const { maxBatchSize, maxInputLength } = this.limits;
    const { config, numBlocks, blockSize } = this.runner;
    const longest = Math.min(
      maxInputLength,
      config.maxPositionEmbeddings - 2,
      numBlocks * blockSize - 2,
      512,
    );
    const prompt = new Int32Array(Math.max(1, Math.floor(longest / maxBatchSize))).fill(1);
    const options = { maxTokens: 2, minTokens: 0, ignoreEos: true, temperature: 0, repetitionPenalty: 1 };
    await Promise.all(
      Array.from({ length: maxBatchSize }, () => this.engine.generate(prompt, options).result),
    );
    this.runner.profiler?.clear();
  }

  /**
   * Answers all prompts alike: `sampling` over what `load` was given. One prompt is answered maxBatchSize times, as the
   * original does; prompt i draws with the seed `seed + i`. Answers end where the model's context does. Every prompt gets
   * its answer or its error, side by side; this rejects only for what is wrong before any work.
   * @throws REQUEST_TOO_LONG, REQUEST_INVALID, TOKENIZER_*, TEMPLATE_*, OPTION_UNKNOWN, ENGINE_DISPOSED
   */
  async infer(
    inputs: PAInputs,
    sampling: SamplingOptions = {},
    options: InferOptions = {},
  ): Promise<PAResult> {
    checkOptions(options, INFER_OPTIONS, 'InferOptions');
    const { isChatModel = false, chatTemplateKwargs, signal } = options;
    const { vocabSize, embeddingRows = vocabSize } = this.runner.config;
    const limits = { vocabSize: embeddingRows, maxInputLength: this.limits.maxInputLength };
    const encode = (prompt: string | readonly ChatMessage[]) =>
      encodePrompt(prompt, this.text, { chatTemplateKwargs });
    const given = await promptsOf(inputs, isChatModel, encode, limits);
    const copies = given.length === 1 ? this.limits.maxBatchSize : 1;
    const prompts = given.flatMap((prompt) => new Array<Prompt>(copies).fill(prompt));
    const steps: StepReport[] = [];
    const before = this.engine.stats;
    this.#steps.add(steps);
    try {
      const start = performance.now();
      const generations = this.#startAll(prompts, sampling, signal);
      const onText = observer('onText', options.onText);
      const onAnswer = observer('onAnswer', options.onAnswer);
      const settled = await Promise.all(
        generations.map(async (generation, index) => {
          const prompt = prompts[index] as Prompt;
          const outcome = await settle(generation, (text) => onText(index, text, prompt.shown));
          const answer = this.#answer(index, prompt, outcome);
          onAnswer(answer);
          return { answer, ttftMs: 'error' in outcome ? [] : [outcome.ttftMs] };
        }),
      );
      const endToEndMs = performance.now() - start;
      const answers = settled.map(({ answer }) => answer);
      const ttftMs = settled.flatMap((one) => one.ttftMs);
      return { answers, metrics: this.#metrics(steps, before, endToEndMs, ttftMs) };
    } finally {
      this.#steps.delete(steps);
    }
  }

  /**
   * One request from text or a dialogue; iterate it for chunks.
   * @throws TOKENIZER_*, TEMPLATE_*, REQUEST_* before any work
   */
  generate(
    prompt: string | Int32Array | readonly ChatMessage[],
    sampling: SamplingOptions = {},
    options: GenerateOptions = {},
  ): Generation {
    const tokens = ArrayBuffer.isView(prompt) ? prompt : this.encode(prompt);
    return this.engine.generate(tokens, sampling, options);
  }

  /** Ends requests, then the native engine. Idempotent. */
  async dispose(): Promise<void> {
    try {
      await this.engine.dispose();
    } finally {
      this.#draft?.dispose();
      this.runner.dispose();
    }
  }

  /**
   * Token ids of a text, or of a dialogue through the chat template, while this thread does other things.
   * @throws TOKENIZER_*, TEMPLATE_*, REQUEST_INVALID when the tokenizer was not loaded
   */
  async encodeAsync(
    prompt: string | readonly ChatMessage[],
    options: ChatTemplateOptions = {},
  ): Promise<Int32Array> {
    return (await encodePrompt(prompt, this.text, options)).tokens;
  }

  /** The same, but this thread waits; a server takes `encodeAsync`, and hands the ids to `generate`. */
  encode(prompt: string | readonly ChatMessage[], options: ChatTemplateOptions = {}): Int32Array {
    return encodePromptNow(prompt, this.text, options);
  }

  /** Queues all prompts, or none: what cannot fit is refused before anything runs. */
  #startAll(
    prompts: readonly Prompt[],
    sampling: SamplingOptions,
    signal: AbortSignal | undefined,
  ): Generation[] {
    const { vocabSize, maxPositionEmbeddings } = this.runner.config;
    const defaults = this.engine.samplingDefaults;
    // Of its own, because what follows calculates with numbers.
    resolveSamplingParams(sampling, { vocabSize, defaults });
    const { maxTokens = this.limits.maxOutputLength, seed } = mergeSampling(defaults, sampling);
    const started: Generation[] = [];
    try {
      for (const [index, { tokens, inserts, adapter }] of prompts.entries()) {
        const request: SamplingOptions = {
          ...sampling,
          maxTokens: Math.min(maxTokens, Math.max(1, maxPositionEmbeddings - tokens.length)),
          ...(seed !== undefined && { seed: seed + index }),
        };
        started.push(this.engine.generate(tokens, request, { signal, inserts, adapter }));
      }
    } catch (error) {
      for (const generation of started) generation.abort(error);
      throw error;
    }
    return started;
  }

  #answer(index: number, { shown, tokens: promptTokens }: Prompt, outcome: Outcome): PAAnswer {
    const { text, tokens, logprobs } = outcome;
    return {
      index,
      prompt: shown,
      ...(this.text.tokenizer && { text }),
      tokens,
      promptTokens: promptTokens.length,
      finishReason: outcome.finishReason,
      ...('error' in outcome && { error: outcome.error }),
      ...('seed' in outcome && { seed: outcome.seed }),
      ...(logprobs.length > 0 && { logprobs }),
    };
  }

  #metrics(
    all: readonly StepReport[],
    before: EngineStats,
    endToEndMs: number,
    ttftMs: readonly number[],
  ): PAMetrics {
    const { draftedTokens, acceptedTokens, draftSpeedUp: speedUp } = this.engine.stats;
    const drafted = draftedTokens - before.draftedTokens;
    const prefill = all.filter(({ isDecode }) => !isDecode);
    const decode = all.filter(({ isDecode }) => isDecode);
    return {
      loadMs: this.runner.loadMs,
      endToEndMs,
      ttftMs,
      prefillStepMs: prefill.map(({ durationMs }) => durationMs),
      decodeStepMs: decode.map(({ durationMs }) => durationMs),
      prefillTokens: prefill.reduce((sum, { tokens }) => sum + tokens, 0),
      decodeTokens: decode.reduce((sum, { newTokens }) => sum + newTokens, 0),
      ...(drafted > 0 && {
        guesses: { drafted, accepted: acceptedTokens - before.acceptedTokens, speedUp },
      }),
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      isa: this.runner.isa,
      threads: this.runner.threads,
    };
  }
}
