import { freemem } from 'node:os';
import { parseBytes } from '../bytes.js';
import { refuseRequest } from '../errors.js';
import type { Guide } from '../guided/index.js';
import type { ExpandedPrompt } from '../media/index.js';
import { requireArgument, TOKEN_IDS } from '../require-argument.js';
import type { DraftModel } from '../runner/draft-model.js';
import type { Grammars } from '../runner/grammars.js';
import type { ModelRunner } from '../runner/model-runner.js';
import { checkOptions, requireOptions } from '../runner/options.js';
import type { TextProcessing } from '../runner/text-processing.js';
import { mergeSampling, type SamplingOptions } from '../sampling/sampling-params.js';
import type { ChatTemplateOptions } from '../tokenizer/input-builder.js';
import type { Answerer } from './answerer.js';
import { type BeamOutput, type BeamSearchOptions, beamSearch } from './beam-search.js';
import { ChatSession } from './chat-session.js';
import { type Completion, type CompletionOptions, complete } from './completion.js';
import { encodePrompt, isPrompts, type LLMPrompt } from './encode-prompt.js';
import type { Generation, GenerationChunk } from './generation.js';
import type { LLMEngine } from './llm-engine.js';
import type { EngineStats } from './llm-engine-options.js';
import type { ChatSessionOptions, LLMOptions, StreamOptions } from './llm-options.js';
import { type OpenEngine, openEngine } from './open-engine.js';
import { LLM_OPTIONS, samplingOf } from './options.js';
import { requireOpen } from './require-runner.js';
import { completeAs, type SchemaOptions } from './structured.js';

/** Requests that run at once when nobody says. */
const DEFAULT_NUM_SEQS = 8;
/** Tokens of a step when nobody says; more of them do not make matrix products faster. */
const DEFAULT_BATCHED_TOKENS = 512;
/** Tokens of a request that the cache is made for when nobody gives a budget. */
const USUAL_MODEL_LEN = 4096;
/** Of the memory that is free, for weights and cache together. */
const MEMORY_SHARE = 0.8;

/**
 * A model that answers many requests at once: load it, stream or generate, dispose it. Requests run together whenever they
 * come, and which ones do never changes an answer.
 *
 *     await using llm = await LLM.load(dir, { maxNumSeqs: 32 });
 *     for await (const { text } of llm.stream('Once upon a time')) process.stdout.write(text);
 */
export class LLM implements Answerer, AsyncDisposable {
  /** The step loop, for requests of token ids. */
  readonly engine: LLMEngine;
  readonly runner: ModelRunner;
  /** What guesses ahead, with the option `draftModelPath`. */
  readonly draft: DraftModel | undefined;
  /** Its tokenizer is absent with `loadTokenizer: false`; prompts are token ids then. */
  readonly text: TextProcessing;
  /** Requests that run at once. */
  readonly maxNumSeqs: number;
  /** Prompt and new tokens of one request at most. */
  readonly maxModelLen: number;
  readonly #sampling: SamplingOptions;
  #disposal: Promise<void> | undefined;
  #grammars: Grammars | undefined;

  private constructor(open: OpenEngine, sampling: SamplingOptions) {
    requireOpen('LLM', 'directory', open);
    const { engine, runner, draft, text, limits } = open;
    this.engine = engine;
    this.runner = runner;
    this.draft = draft;
    this.text = text;
    this.#sampling = sampling;
    this.maxNumSeqs = limits.maxBatchSize;
    this.maxModelLen = Math.min(limits.maxModelLen, runner.numBlocks * runner.blockSize);
  }

  /**
   * Loads the checkpoint of a directory.
   * @throws ROUTER_*, CONFIG_*, WEIGHT_*, TOKENIZER_*, TEMPLATE_*, NATIVE_*, REQUEST_INVALID, OPTION_UNKNOWN,
   * CACHE_TOO_SMALL
   */
  static async load(modelPath: string, options: LLMOptions = {}): Promise<LLM> {
    checkOptions(options, LLM_OPTIONS, 'LLMOptions');
    const {
      maxNumSeqs = DEFAULT_NUM_SEQS,
      maxNumBatchedTokens = Math.max(DEFAULT_BATCHED_TOKENS, maxNumSeqs),
      maxModelLen = Number.MAX_SAFE_INTEGER,
      memoryBudget,
      ...rest
    } = options;
    if (maxNumBatchedTokens < maxNumSeqs)
      refuseRequest('maxNumBatchedTokens', `at least maxNumSeqs (${maxNumSeqs})`, maxNumBatchedTokens);
    const open = await openEngine({
      ...rest,
      modelPath,
      maxBatchSize: maxNumSeqs,
      maxPrefillTokens: maxNumBatchedTokens,
      chunkedPrefill: true,
      maxModelLen,
      ...(memoryBudget === undefined
        ? { usualModelLen: USUAL_MODEL_LEN, memoryBudget: Math.floor(freemem() * MEMORY_SHARE) }
        : { memoryBudget: parseBytes('memoryBudget', memoryBudget) }),
    });
    return new LLM(open, options.sampling ?? {});
  }

  get stats(): EngineStats {
    return this.engine.stats;
  }

  /**
   * Token ids of a text, or of a dialogue through the chat template.
   * @throws TOKENIZER_*, TEMPLATE_*, REQUEST_INVALID when the tokenizer was not loaded
   */
  async encode(prompt: LLMPrompt, template: ChatTemplateOptions = {}): Promise<Int32Array> {
    return (await this.prepare(prompt, template)).tokens;
  }

  /**
   * The same, with what stands in the prompt that is no text: the options `inserts` of `startTokens`.
   * @throws TOKENIZER_*, TEMPLATE_*, MEDIA_*, REQUEST_INVALID for a model that reads no pictures or sound
   */
  prepare(prompt: LLMPrompt, template: ChatTemplateOptions = {}): Promise<ExpandedPrompt> {
    return encodePrompt(prompt, this.text, template);
  }

  /** The text of token ids, without special tokens. @throws REQUEST_INVALID when the tokenizer was not loaded */
  decode(tokens: ArrayLike<number>): string {
    const { tokenizer } = this.text;
    if (!tokenizer) return refuseRequest('tokenizer', 'loaded', 'loadTokenizer: false');
    requireArgument('LLM.decode', 'the tokens', TOKEN_IDS, tokens);
    return tokenizer.decode(Array.from(tokens));
  }

  /**
   * Queues one request: iterate the generation for chunks, or await its `result`. Without `maxTokens` the answer ends where
   * the model does, or the model's length.
   * @throws TOKENIZER_*, TEMPLATE_*, REQUEST_INVALID, REQUEST_TOO_LONG, OPTION_UNKNOWN, ENGINE_DISPOSED
   */
  async start(prompt: LLMPrompt, options: StreamOptions = {}): Promise<Generation> {
    requireOptions(options, 'options');
    const { template, guide, ...rest } = options;
    const { tokens, inserts } = await this.prepare(prompt, template);
    return this.startTokens(tokens, {
      inserts,
      ...rest,
      ...(guide && { grammar: await this.compileGuide(guide) }),
    });
  }

  /**
   * A guide made ready, as the option `grammar` of what is started next; `guide` does that by itself.
   * @throws GUIDE_INVALID, GUIDE_UNSUPPORTED, GUIDE_TOO_LARGE, REQUEST_INVALID when the tokenizer was not loaded
   */
  async compileGuide(guide: Guide): Promise<number> {
    const { tokenizer, postprocessor } = this.text;
    if (!tokenizer) return refuseRequest('guide', 'absent, because the tokenizer was not loaded', guide);
    this.#grammars ??= this.runner.grammars({
      ends: [...postprocessor.eosTokenIds],
      tokenBytes: () => tokenizer.tokenBytes(),
    });
    return this.#grammars.compile(guide);
  }

  /** The same of token ids, at once. */
  startTokens(
    tokens: ArrayLike<number>,
    options: Omit<StreamOptions, 'template' | 'guide'> = {},
  ): Generation {
    const [sampling, generate] = samplingOf(options);
    const { maxTokens = this.#longestAnswer(tokens.length) } = sampling;
    return this.engine.generate(tokens, { ...sampling, maxTokens }, generate);
  }

  /** New tokens of a request that says nothing: what `sampling` or generation_config.json says, within the model's length. */
  #longestAnswer(promptLen: number): number {
    const { maxTokens = Number.POSITIVE_INFINITY } = mergeSampling(
      this.text.samplingDefaults,
      this.#sampling,
    );
    return Math.max(1, Math.min(maxTokens, this.maxModelLen - promptLen));
  }

  /**
   * The answer to one prompt as it comes. Leaving the loop early ends the request; a failure or an abort is thrown
   * (REQUEST_ABORTED with the text so far).
   * @throws what `start` throws
   */
  async *stream(
    prompt: LLMPrompt,
    options: StreamOptions = {},
  ): AsyncGenerator<GenerationChunk, void, undefined> {
    yield* await this.start(prompt, options);
  }

  /**
   * Complete answers: of one prompt, or of each of several, which run together; with a `schema`, the values that it
   * describes. When one of them fails or is aborted, the others end too and this rejects.
   * @throws what `start` throws, REQUEST_ABORTED, REQUEST_FAILED, REQUEST_NOT_FINITE
   */
  generate<T>(prompt: LLMPrompt, options: SchemaOptions<T>): Promise<T>;
  generate<T>(prompts: readonly LLMPrompt[], options: SchemaOptions<T>): Promise<T[]>;
  generate(prompt: LLMPrompt, options?: CompletionOptions): Promise<Completion>;
  generate(prompts: readonly LLMPrompt[], options?: CompletionOptions): Promise<Completion[]>;
  async generate(
    given: LLMPrompt | readonly LLMPrompt[],
    options: CompletionOptions | SchemaOptions<unknown> = {},
  ): Promise<unknown> {
    requireOptions(options, 'options');
    const prompts = isPrompts(given) ? given : [given];
    const { schema, ...rest }: CompletionOptions & Partial<SchemaOptions<unknown>> = options;
    const answers =
      schema === undefined
        ? await complete(this, prompts, rest)
        : await completeAs(this, prompts, { ...rest, schema });
    return prompts === given ? answers : answers[0];
  }

  /**
   * The likeliest answers to a prompt, best first.
   * @throws what `start` throws, REQUEST_ABORTED
   */
  async beamSearch(prompt: LLMPrompt, options: BeamSearchOptions): Promise<BeamOutput[]> {
    requireOptions(options, 'options');
    const { tokens, inserts } = await this.prepare(prompt);
    return beamSearch(this, tokens, { inserts, ...options });
  }

  /** A dialogue that keeps its history. @throws REQUEST_INVALID, OPTION_UNKNOWN */
  chat(options: ChatSessionOptions = {}): ChatSession {
    return new ChatSession(this, options);
  }

  /** Aborts what runs, waits for the step in flight, then frees the native engine. Idempotent. */
  dispose(): Promise<void> {
    this.#disposal ??= this.engine.dispose().finally(() => {
      this.draft?.dispose();
      this.runner.dispose();
    });
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
