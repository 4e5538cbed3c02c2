import { freemem } from 'node:os';
import { AtbError } from '../errors.js';
import { DECODE } from '../graph/graph-kind.js';
import { kvCacheDType } from '../kv-cache/kv-quant.js';
import { getModel } from '../models/get-model.js';
import type { SampledLogprobs } from '../native/index.js';
import { kvBlockBytes } from '../runner/kv-block-bytes.js';
import { ModelRunner, type ModelRunnerOptions, runConfig } from '../runner/model-runner.js';
import type { TextProcessing } from '../runner/text-processing.js';
import '../runner/router-parts.js';
import type { SamplingOptions } from '../sampling/sampling-params.js';
import type { FinishReason } from '../scheduler/sequence.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';
import { declaredWeights } from '../weights/weights.js';
import type { Generation, GenerationResult } from './generation.js';
import { type GenerateOptions, LLMEngine, type StepReport } from './llm-engine.js';

/** Prompts of `infer`, all of one kind. */
export type PAInputs =
  | { readonly kind: 'texts'; readonly prompts: readonly string[] }
  | { readonly kind: 'tokens'; readonly prompts: readonly Int32Array[] }
  | { readonly kind: 'dialogues'; readonly dialogues: readonly (readonly ChatMessage[])[] };

/** The original's limits, with its defaults. */
export interface PARunnerOptions extends Omit<ModelRunnerOptions, 'numBlocks'> {
  /** Sequences that run at once; 1 when absent. */
  readonly maxBatchSize?: number;
  /** Longest prompt, in tokens; 1024 when absent. */
  readonly maxInputLength?: number;
  /** Most new tokens of a sequence, for the size of the cache; 20 when absent. */
  readonly maxOutputLength?: number;
  /** Prompts of one prefill step; maxBatchSize when absent. */
  readonly maxPrefillBatchSize?: number;
  /** Tokens of one prefill step; a batch of longest sequences when absent. Longer prompts are cut into chunks. */
  readonly maxPrefillTokens?: number;
  /** Bytes for the KV cache; enough for maxBatchSize sequences of full length when absent. */
  readonly cacheBytes?: number;
  /** False: token ids in, token ids out; no tokenizer files are needed. */
  readonly loadTokenizer?: boolean;
  /** A Jinja chat template, or the path of a file with one; the checkpoint's own when absent. */
  readonly chatTemplate?: string;
  /**
   * Of every request that says nothing else. Greedy when absent, as the original; with a temperature, what else
   * generation_config.json presets applies.
   */
  readonly sampling?: SamplingOptions;
}

export interface InferOptions {
  readonly maxOutputLength?: number;
  readonly ignoreEos?: boolean;
  /** Texts go through the chat template as one user message. */
  readonly isChatModel?: boolean;
  readonly onText?: (index: number, text: string) => void;
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
  #steps: StepReport[] = [];

  private constructor(
    readonly runner: ModelRunner,
    /** For requests one by one, with streaming and aborts. */
    readonly engine: LLMEngine,
    /** Its tokenizer is absent with `loadTokenizer: false`. */
    readonly text: TextProcessing,
    private readonly options: PARunnerOptions,
    private readonly maxInputLength: number,
  ) {}

  /** @throws ROUTER_*, CONFIG_*, WEIGHT_*, TOKENIZER_*, NATIVE_*, REQUEST_INVALID, CACHE_TOO_SMALL */
  static async load(options: PARunnerOptions): Promise<PARunner> {
    const {
      modelPath,
      maxBatchSize = 1,
      maxInputLength = 1024,
      maxOutputLength = 20,
      blockSize = 128,
    } = options;
    const router = await getModel(modelPath, options);
    const config = runConfig(router, options.maxPositionEmbeddings);
    const dtype = options.dtype ?? config.dtype ?? 'bf16';
    const model = router.createModel(declaredWeights(dtype));
    const text = await router.part('textProcessing')(options);
    const maxModelLen = Math.min(maxInputLength + maxOutputLength, config.maxPositionEmbeddings);
    const numBlocks = cacheBlocks(
      options.cacheBytes,
      maxBatchSize * Math.ceil(maxModelLen / blockSize),
      kvBlockBytes(model.caches(), kvCacheDType(dtype, options), blockSize),
    );
    const runner = await ModelRunner.load({ ...options, dtype, blockSize, numBlocks });
    const steps: StepReport[] = [];
    const engine = new LLMEngine(runner, text.postprocessor, {
      maxBatchSize,
      maxPrefillBatchSize: options.maxPrefillBatchSize ?? maxBatchSize,
      maxPrefillTokens: options.maxPrefillTokens ?? maxBatchSize * maxModelLen,
      maxModelLen,
      chunkedPrefill: false,
      samplingDefaults: { ...text.samplingDefaults, temperature: 0 },
      onStep: (step) => steps.push(step),
    });
    const loaded = new PARunner(runner, engine, text, options, maxInputLength);
    loaded.#steps = steps;
    return loaded;
  }

  /** Runs prefill and decode once, so that memory is planned and touched before figures are taken. */
  async warmUp(): Promise<void> {
    const { maxBatchSize = 1 } = this.options;
    const { config, numBlocks, blockSize } = this.runner;
    const longest = Math.min(
      this.maxInputLength,
      config.maxPositionEmbeddings - 2,
      numBlocks * blockSize - 2,
      512,
    );
    const prompt = new Int32Array(Math.max(1, Math.floor(longest / maxBatchSize))).fill(1);
    const options = { maxTokens: 2, ignoreEos: true };
    await Promise.all(
      Array.from({ length: maxBatchSize }, () => this.engine.generate(prompt, options).result),
    );
    this.#steps.length = 0;
    this.runner.profiler?.clear();
  }

  /**
   * Answers all prompts. One prompt is answered maxBatchSize times, as the original does.
   * @throws REQUEST_TOO_LONG, REQUEST_INVALID before any work; REQUEST_ABORTED, REQUEST_NOT_FINITE
   */
  async infer(inputs: PAInputs, options: InferOptions = {}): Promise<PAResult> {
    const given = this.#prompts(inputs, options.isChatModel ?? false);
    const copies = given.length === 1 ? (this.options.maxBatchSize ?? 1) : 1;
    const prompts = given.flatMap((prompt) => new Array<Prompt>(copies).fill(prompt));
    this.#steps.length = 0;
    const start = performance.now();
    const generations = this.#startAll(prompts, options);
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
    return this.engine.generate(tokens, { ...this.options.sampling, ...sampling }, options);
  }

  /** Ends requests, then the native engine. Idempotent. */
  async dispose(): Promise<void> {
    await this.engine.dispose();
    this.runner.dispose();
  }

  /**
   * Token ids of a text, or of a dialogue through the chat template.
   * @throws TOKENIZER_*, TEMPLATE_*, REQUEST_INVALID when the tokenizer was not loaded
   */
  encode(prompt: string | readonly ChatMessage[]): Int32Array {
    const { tokenizer, inputBuilder } = this.text;
    if (!tokenizer || !inputBuilder) {
      throw new AtbError('REQUEST_INVALID', {
        field: 'prompt',
        expected: 'token ids, because the tokenizer was not loaded',
        found: 'text',
      });
    }
    return Int32Array.from(
      typeof prompt === 'string' ? tokenizer.encode(prompt) : inputBuilder.makeContext(prompt),
    );
  }

  #prompts(inputs: PAInputs, isChatModel: boolean): Prompt[] {
    switch (inputs.kind) {
      case 'tokens':
        return inputs.prompts.map((tokens) => ({ shown: tokens.join(','), tokens }));
      case 'dialogues':
        return inputs.dialogues.map((dialogue) => ({
          shown: String(dialogue.at(-1)?.content ?? ''),
          tokens: this.encode(dialogue),
        }));
      case 'texts':
        return inputs.prompts.map((prompt) => ({
          shown: prompt,
          tokens: this.encode(isChatModel ? [{ role: 'user', content: prompt }] : prompt),
        }));
    }
  }

  /** Queues all prompts, or none: what cannot fit is refused before anything runs. */
  #startAll(
    prompts: readonly Prompt[],
    { maxOutputLength, ignoreEos = false, signal }: InferOptions,
  ): Generation[] {
    for (const { tokens } of prompts) {
      if (tokens.length > this.maxInputLength) {
        throw new AtbError('REQUEST_INVALID', {
          field: 'prompt',
          expected: `at most max_input_length (${this.maxInputLength}) tokens`,
          found: tokens.length,
        });
      }
    }
    const { sampling = {}, maxOutputLength: limit = 20 } = this.options;
    const stop = new AbortController();
    const started: Generation[] = [];
    try {
      for (const [index, { tokens }] of prompts.entries()) {
        const request: SamplingOptions = {
          maxTokens: Math.min(
            maxOutputLength ?? limit,
            Math.max(1, this.runner.config.maxPositionEmbeddings - tokens.length),
          ),
          ignoreEos,
          ...sampling,
          ...(sampling.seed !== undefined && { seed: sampling.seed + index }),
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

/** Blocks of the KV cache: as many as wanted, within the budget or, without one, within the machine's free memory. */
function cacheBlocks(cacheBytes: number | undefined, wanted: number, blockBytes: number): number {
  if (cacheBytes === undefined) {
    // Weights come out of the same memory, so the cache may not take it all.
    const affordable = Math.floor((freemem() * 0.8) / blockBytes);
    if (wanted > affordable)
      throw new AtbError('CACHE_TOO_SMALL', {
        neededBytes: wanted * blockBytes,
        availableBytes: Math.floor(freemem() * 0.8),
        remedy: 'lower max_batch_size or the lengths, or give a memory budget',
      });
    return wanted;
  }
  const blocks = Math.floor(cacheBytes / blockBytes);
  if (blocks < 1)
    throw new AtbError('CACHE_TOO_SMALL', {
      neededBytes: blockBytes,
      availableBytes: cacheBytes,
      remedy: 'raise the memory budget',
    });
  return Math.min(blocks, wanted);
}
