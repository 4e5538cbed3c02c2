import { refuseRequest } from '../errors.js';
import { DECODE } from '../graph/graph-kind.js';
import type { SampledLogprobs } from '../native/index.js';
import type { ModelRunner } from '../runner/model-runner.js';
import type { TextProcessing } from '../runner/text-processing.js';
import { mergeSampling, type SamplingOptions } from '../sampling/sampling-params.js';
import type { FinishReason } from '../scheduler/sequence.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';
import type { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import type { ChatTemplateOptions, InputBuilder } from '../tokenizer/input-builder.js';
import type { Generation, GenerationResult } from './generation.js';
import type { GenerateOptions, LLMEngine, StepReport } from './llm-engine.js';
import { type EngineLimits, type OpenEngine, type OpenEngineOptions, openEngine } from './open-engine.js';

/** Prompts of `infer`, all of one kind. */
export type PAInputs =
  | { readonly kind: 'texts'; readonly prompts: readonly string[] }
  | { readonly kind: 'tokens'; readonly prompts: readonly Int32Array[] }
  | { readonly kind: 'dialogues'; readonly dialogues: readonly (readonly ChatMessage[])[] };

/** How a checkpoint is loaded and what fits at once: the original's limits, with its defaults. */
export type PARunnerOptions = Omit<OpenEngineOptions, 'onStep'>;

export interface InferOptions {
  /** Texts go through the chat template as one user message. */
  readonly isChatModel?: boolean;
  /** Further variables for the chat template, as `enable_thinking`. */
  readonly chatTemplateKwargs?: ChatTemplateOptions['chatTemplateKwargs'];
  readonly onText?: (index: number, text: string) => void;
  /** Ends all requests; `infer` then rejects with REQUEST_ABORTED. */
  readonly signal?: AbortSignal;
}

export interface PAAnswer {
  readonly index: number;
  /** The prompt as it was given: text, ids joined by commas, or the last message. */
  readonly prompt: string;
  /** Absent without a tokenizer. */
  readonly text?: string;
  readonly tokens: readonly number[];
  readonly promptTokens: number;
  readonly finishReason: FinishReason;
  readonly logprobs?: readonly SampledLogprobs[];
}

export interface PAMetrics {
  readonly loadMs: number;
  readonly endToEndMs: number;
  /** From the start of `infer` to each answer's first token. */
  readonly ttftMs: readonly number[];
  readonly prefillStepMs: readonly number[];
  readonly decodeStepMs: readonly number[];
  /** Prompt tokens that prefill steps computed. */
  readonly prefillTokens: number;
  /** Tokens that decode steps generated. */
  readonly decodeTokens: number;
  readonly peakMemoryBytes: number;
  readonly isa: string;
  readonly threads: number;
}

export interface PAResult {
  readonly answers: readonly PAAnswer[];
  readonly metrics: PAMetrics;
}

type Prompt = { readonly shown: string; readonly tokens: Int32Array };

/** The original's runner: loads a checkpoint, answers a list of prompts by continuous batching. */
export class PARunner {
  readonly runner: ModelRunner;
  /** For requests one by one, with streaming and aborts. */
  readonly engine: LLMEngine;
  /** Its tokenizer is absent with `loadTokenizer: false`. */
  readonly text: TextProcessing;
  readonly limits: EngineLimits;
  readonly #steps: StepReport[];

  private constructor({ runner, engine, text, limits }: OpenEngine, steps: StepReport[]) {
    this.runner = runner;
    this.engine = engine;
    this.text = text;
    this.limits = limits;
    this.#steps = steps;
  }

  /** @throws ROUTER_*, CONFIG_*, WEIGHT_*, TOKENIZER_*, NATIVE_*, REQUEST_INVALID, CACHE_TOO_SMALL */
  static async load(options: PARunnerOptions): Promise<PARunner> {
    const steps: StepReport[] = [];
    return new PARunner(await openEngine({ ...options, onStep: (step) => steps.push(step) }), steps);
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
    const options = { maxTokens: 2, minTokens: 0, ignoreEos: true };
    await Promise.all(
      Array.from({ length: maxBatchSize }, () => this.engine.generate(prompt, options).result),
    );
    this.#steps.length = 0;
    this.runner.profiler?.clear();
  }

  /**
   * Answers all prompts alike: `sampling` over what `load` was given. One prompt is answered maxBatchSize times, as the
   * original does; prompt i draws with the seed `seed + i`. Answers end where the model's context does.
   * @throws REQUEST_TOO_LONG, REQUEST_INVALID before any work; REQUEST_ABORTED, REQUEST_NOT_FINITE
   */
  async infer(
    inputs: PAInputs,
    sampling: SamplingOptions = {},
    options: InferOptions = {},
  ): Promise<PAResult> {
    const given = await this.#prompts(inputs, options);
    const copies = given.length === 1 ? this.limits.maxBatchSize : 1;
    const prompts = given.flatMap((prompt) => new Array<Prompt>(copies).fill(prompt));
    this.#steps.length = 0;
    const start = performance.now();
    const generations = this.#startAll(prompts, sampling, options.signal);
    const streams = generations.map((generation, index) => this.#stream(generation, index, options));
    const results = await Promise.all(streams);
    const endToEndMs = performance.now() - start;
    const answers = results.map(({ text, tokens, promptTokens, finishReason, logprobs }, index) => ({
      index,
      prompt: (prompts[index] as Prompt).shown,
      ...(this.text.tokenizer && { text }),
      tokens,
      promptTokens,
      finishReason,
      ...(logprobs.length > 0 && { logprobs }),
    }));
    return {
      answers,
      metrics: this.#metrics(
        endToEndMs,
        results.map(({ ttftMs }) => ttftMs),
      ),
    };
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
    const tokens = prompt instanceof Int32Array ? prompt : this.encode(prompt);
    return this.engine.generate(tokens, sampling, options);
  }

  /** Ends requests, then the native engine. Idempotent. */
  async dispose(): Promise<void> {
    await this.engine.dispose();
    this.runner.dispose();
  }

  /**
   * Token ids of a text, or of a dialogue through the chat template, while this thread does other things.
   * @throws TOKENIZER_*, TEMPLATE_*, REQUEST_INVALID when the tokenizer was not loaded
   */
  async encodeAsync(
    prompt: string | readonly ChatMessage[],
    options: ChatTemplateOptions = {},
  ): Promise<Int32Array> {
    const { tokenizer, inputBuilder } = this.#encoders();
    return Int32Array.from(
      typeof prompt === 'string'
        ? await tokenizer.encodeAsync(prompt)
        : await inputBuilder.makeContextAsync(prompt, options),
    );
  }

  /** The same, but this thread waits; a server takes `encodeAsync`, and hands the ids to `generate`. */
  encode(prompt: string | readonly ChatMessage[], options: ChatTemplateOptions = {}): Int32Array {
    const { tokenizer, inputBuilder } = this.#encoders();
    return Int32Array.from(
      typeof prompt === 'string' ? tokenizer.encode(prompt) : inputBuilder.makeContext(prompt, options),
    );
  }

  #encoders(): { readonly tokenizer: HfTokenizer; readonly inputBuilder: InputBuilder } {
    const { tokenizer, inputBuilder } = this.text;
    if (!tokenizer || !inputBuilder)
      return refuseRequest('prompt', 'token ids, because the tokenizer was not loaded', 'text');
    return { tokenizer, inputBuilder };
  }

  async #prompts(
    inputs: PAInputs,
    { isChatModel = false, chatTemplateKwargs }: InferOptions,
  ): Promise<Prompt[]> {
    switch (inputs.kind) {
      case 'tokens':
        return inputs.prompts.map((tokens) => ({ shown: tokens.join(','), tokens }));
      case 'dialogues':
        return await Promise.all(
          inputs.dialogues.map(async (dialogue) => ({
            shown: shownContent(dialogue.at(-1)?.content),
            tokens: await this.encodeAsync(dialogue, { chatTemplateKwargs }),
          })),
        );
      case 'texts':
        return await Promise.all(
          inputs.prompts.map(async (prompt) => ({
            shown: prompt,
            tokens: await this.encodeAsync(isChatModel ? [{ role: 'user', content: prompt }] : prompt, {
              chatTemplateKwargs,
            }),
          })),
        );
    }
  }

  /** Queues all prompts, or none: what cannot fit is refused before anything runs. */
  #startAll(
    prompts: readonly Prompt[],
    sampling: SamplingOptions,
    signal: AbortSignal | undefined,
  ): Generation[] {
    const { maxInputLength } = this.limits;
    const { maxPositionEmbeddings } = this.runner.config;
    for (const { tokens } of prompts) {
      if (tokens.length > maxInputLength)
        refuseRequest('prompt', `at most max_input_length (${maxInputLength}) tokens`, tokens.length);
    }
    const all = mergeSampling(this.engine.samplingDefaults, sampling);
    const stop = new AbortController();
    const started: Generation[] = [];
    try {
      for (const [index, { tokens }] of prompts.entries()) {
        const { maxTokens = this.limits.maxOutputLength, seed } = all;
        const request: SamplingOptions = {
          ...all,
          maxTokens: Math.min(maxTokens, Math.max(1, maxPositionEmbeddings - tokens.length)),
          ...(seed !== undefined && { seed: seed + index }),
        };
        started.push(
          this.engine.generate(tokens, request, {
            signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
          }),
        );
      }
    } catch (error) {
      stop.abort(error);
      throw error;
    }
    return started;
  }

  async #stream(generation: Generation, index: number, { onText }: InferOptions): Promise<GenerationResult> {
    if (onText) for await (const { text } of generation) if (text) onText(index, text);
    return generation.result;
  }

  #metrics(endToEndMs: number, ttftMs: readonly number[]): PAMetrics {
    const prefill = this.#steps.filter(({ kind }) => kind !== DECODE);
    const decode = this.#steps.filter(({ kind }) => kind === DECODE);
    const sum = (steps: readonly StepReport[]) => steps.reduce((total, { tokens }) => total + tokens, 0);
    return {
      loadMs: this.runner.loadMs,
      endToEndMs,
      ttftMs,
      prefillStepMs: prefill.map(({ durationMs }) => durationMs),
      decodeStepMs: decode.map(({ durationMs }) => durationMs),
      prefillTokens: sum(prefill),
      decodeTokens: sum(decode),
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      isa: this.runner.isa,
      threads: this.runner.threads,
    };
  }
}

/** A message's content as it is shown to people: a text, or its parts as they were given. */
function shownContent(content: unknown): string {
  return typeof content === 'string' ? content : content == null ? '' : JSON.stringify(content);
}
