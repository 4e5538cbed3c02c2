import { randomInt } from 'node:crypto';
import { AtbError, refuseRequest, requestError } from '../errors.js';
import { aheadOf } from '../media/index.js';
import type { SampledLogprobs, SamplerOptions } from '../native/index.js';
import { placeOfAdapter } from '../runner/lora-modules.js';
import { toSamplerOptions } from '../sampling/sampler-options.js';
import { isSampled, type SamplingParams } from '../sampling/sampling-params.js';
import { type FinishReason, Sequence } from '../scheduler/sequence.js';
import type { PrefixFacts } from '../step-inputs/index.js';
import type { OutputText, Postprocessor } from '../tokenizer/postprocessor.js';
import { Generation } from './generation.js';
import { ignoringErrors } from './ignoring-errors.js';
import type { GenerateOptions, StepRunner } from './llm-engine-options.js';
import type { PromptScores } from './prompt-logprobs.js';

/** Seeds that are drawn for requests without one are below this. */
const SEEDS = 2 ** 47;

const SEQUENCES = new WeakMap<Generation, Sequence>();

/** What computes a generation, or computed it. */
export const sequenceOf = (generation: Generation): Sequence | undefined => SEQUENCES.get(generation);

export interface RequestOptions {
  readonly id: number;
  readonly promptTokens: ArrayLike<number>;
  readonly params: SamplingParams;
  readonly postprocessor: Postprocessor;
  readonly options: GenerateOptions;
  /** On what keys depend beside tokens, and which adapters there are; on nothing, and none, when absent. */
  readonly runner: Pick<StepRunner, 'prefixes' | 'adapters'>;
  /** Tokens of one step while the prompt is scored. */
  readonly maxScoredLen: number;
  /** Ends this request. */
  readonly abort: (request: Request, reason: unknown) => void;
}

/**
 * The place of a request's adapter among those that were loaded; undefined for the model itself.
 * @throws REQUEST_INVALID for one that was not loaded, and for another than that of the request that is followed
 */
function adapterOf(
  { adapter, follows }: GenerateOptions,
  loaded: readonly string[] = [],
): number | undefined {
  const place = placeOfAdapter('adapter', adapter, loaded);
  const followed = follows && sequenceOf(follows);
  if (followed && followed.adapter !== place)
    refuseRequest('adapter', 'that of the request that it follows, in whose blocks it goes on', adapter);
  return place;
}

/** Only prompts of one salt share blocks of the cache. */
function saltOf(
  { cacheSalt, inserts = [] }: GenerateOptions,
  adapter: number | undefined,
  promptLen: number,
  { dependOnPromptLen, dependOnInserts, dependOnAdapters }: Partial<PrefixFacts> = {},
): string | undefined {
  // Whether it shows anything, and anything that a second encoder does not read, which is sound where that counts.
  const shows = [inserts.length > 0, inserts.some(({ input }) => input.encoder !== 'second')];
  const facts = [
    ...(dependOnPromptLen ? [promptLen] : []),
    ...(dependOnInserts ? shows : []),
    ...(dependOnAdapters ? [adapter] : []),
  ];
  return facts.length > 0 ? `${facts.join(' ')} ${cacheSalt ?? ''}` : cacheSalt;
}

/** A request while it is alive: what it computes, what it has answered, and who may end it. */
export class Request {
  readonly sequence: Sequence;
  readonly generation: Generation;
  /** Of its random draws; undefined: it is greedy. */
  readonly seed: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly onAbort: (reason: unknown) => void;
  readonly #grammar: number | undefined;
  readonly #postprocessor: Postprocessor;
  readonly promptLogprobs: PromptScores;
  readonly #output: OutputText;
  readonly #startMs = performance.now();
  #ttftMs: number | undefined;
  /** Of the prompt, found in the cache before the first token. */
  #cachedTokens = 0;
  #stopReason: string | number | undefined;

  /** @throws REQUEST_FAILED when the postprocessor throws */
  constructor({ id, promptTokens, params, postprocessor, options, ...engine }: RequestOptions) {
    const { maxScoredLen, abort } = engine;
    const { prefixes, adapters } = engine.runner;
    const adapter = adapterOf(options, adapters);
    const { signal, timeoutMs, client, priority, grammar, inserts, follows } = options;
    this.sequence = new Sequence({
      id,
      promptTokens,
      maxTokens: params.maxTokens,
      client,
      priority,
      deadlineMs: timeoutMs === undefined ? undefined : this.#startMs + timeoutMs,
      cacheSalt: saltOf(options, adapter, promptTokens.length, prefixes),
      inserts,
      adapter,
      keepsBlocks: options.keepsBlocks === true && !prefixes?.dependOnPromptLen && !prefixes?.dependOnInserts,
      follows: follows && sequenceOf(follows),
      scoresPrompt: params.promptLogprobs !== undefined,
      maxChunkLen: params.promptLogprobs === undefined ? undefined : maxScoredLen,
    });
    this.promptLogprobs = {
      count: params.promptLogprobs ?? 0,
      into: params.promptLogprobs === undefined ? [] : [undefined],
    };
    this.onAbort = (reason) => abort(this, reason);
    this.generation = new Generation(this.onAbort);
    SEQUENCES.set(this.generation, this.sequence);
    // Who asks for random tokens without a seed wants others each time, and to be told how to get these again.
    this.seed = params.seed ?? (isSampled(params) ? randomInt(SEEDS) : undefined);
    this.signal = signal;
    this.timeoutMs = timeoutMs;
    this.#grammar = grammar;
    this.#postprocessor = postprocessor;
    try {
      // Behind the end that a grammar has allowed there is nothing to go on with.
      const free = { ignoreEos: false, minTokens: 0 };
      this.#output = postprocessor.start(grammar === undefined ? params : { ...params, ...free });
    } catch (error) {
      throw requestError('starting its text', error);
    }
  }

  /** How its tokens are chosen. `vocabSize`: of the logits, which may be narrower than the tokenizer's vocabulary. */
  samplerOptions(params: SamplingParams, vocabSize: number): SamplerOptions {
    const grammar = this.#grammar;
    const eosTokenIds = [...this.#postprocessor.eosTokenIds].filter((token) => token < vocabSize);
    return {
      ...toSamplerOptions(params, this.sequence.tokens, this.seed ?? 0, eosTokenIds),
      ...(grammar !== undefined && { grammar, maxTokens: params.maxTokens }),
    };
  }

  /** Takes the newest token of the sequence. @throws whatever the postprocessor throws */
  take(logprob: SampledLogprobs | undefined): FinishReason | undefined {
    if (this.#ttftMs === undefined) {
      this.#ttftMs = performance.now() - this.#startMs;
      this.#cachedTokens = this.sequence.reusedLen;
    }
    const token = this.sequence.tokens.at(-1) as number;
    const { text, finishReason, stopReason } = this.#output.push(token);
    this.#stopReason = stopReason;
    this.generation.push({ text, tokens: [token], logprobs: logprob ? [logprob] : [] });
    return finishReason;
  }

  /** The sequence came to its end. */
  finish(): void {
    const { promptLen: promptTokens, outputLen, inserts } = this.sequence;
    // Where a sound ends nothing is cut.
    const isHeard = outputLen > 0 && outputLen === aheadOf(inserts);
    const finishReason = (isHeard ? undefined : this.sequence.finishReason) ?? 'stop';
    const seed = this.seed === undefined ? {} : { seed: this.seed };
    const { into } = this.promptLogprobs;
    const scored = into.length > 0 && { promptLogprobs: into };
    const figures = { promptTokens, cachedTokens: this.#cachedTokens, ttftMs: this.#ttftMs ?? 0 };
    const stopReason = this.#stopReason === undefined ? {} : { stopReason: this.#stopReason };
    this.generation.finish({ ...figures, finishReason, ...stopReason, ...seed, ...scored });
  }

  /** Somebody ended it: what was held back of its text comes first. */
  abort(reason: unknown): void {
    // When it cannot be made text, the text is what it was.
    ignoringErrors(() => this.generation.push({ text: this.#output.end(), tokens: [], logprobs: [] }));
    const { text, tokens } = this.generation.soFar;
    this.generation.fail(new AtbError('REQUEST_ABORTED', { text, tokens }, { cause: reason }));
  }
}
