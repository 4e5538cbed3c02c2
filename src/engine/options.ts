import { CHECKS, MODEL_RUNNER_OPTIONS, type OptionChecks, oneOf } from '../runner/options.js';
import type { SamplingOptions } from '../sampling/sampling-params.js';
import { POLICY_NAMES } from '../scheduler/policies/index.js';
import type { ChatTemplateOptions } from '../tokenizer/input-builder.js';
import { isAbortSignal } from './abort-signals.js';
import type { EmbedOptions, RerankOptions } from './encoding/encode-options.js';
import type { EncoderOptions } from './encoding/open-encoder.js';
import { Generation } from './generation.js';
import type { GenerateOptions, LLMEngineOptions } from './llm-engine-options.js';
import type { ChatSessionOptions, LLMOptions } from './llm-options.js';
import type { OpenEngineOptions } from './open-engine-options.js';
import type { InferOptions, PARunnerOptions } from './pa-options.js';

const signal = {
  expected: (value: unknown) => (isAbortSignal(value) ? undefined : 'an AbortSignal'),
};

export const GENERATE_OPTIONS: OptionChecks<GenerateOptions> = {
  signal,
  timeoutMs: CHECKS.positive,
  client: CHECKS.text,
  priority: CHECKS.integer,
  adapter: CHECKS.text,
  grammar: CHECKS.integer,
  cacheSalt: CHECKS.text,
  // The engine knows the prompt that they must fit.
  inserts: CHECKS.elsewhere,
  keepsBlocks: CHECKS.flag,
  follows: {
    expected: (value) => (value instanceof Generation ? undefined : 'a Generation'),
  },
};

export const TEMPLATE_OPTIONS: OptionChecks<ChatTemplateOptions> = {
  addGenerationPrompt: CHECKS.flag,
  continueFinalMessage: CHECKS.flag,
  tools: CHECKS.list,
  documents: CHECKS.list,
  // The input builder knows which there are.
  chatTemplateKwargs: CHECKS.elsewhere,
  allowSpecialTokens: CHECKS.flag,
};

export const INFER_OPTIONS: OptionChecks<InferOptions> = {
  isChatModel: CHECKS.flag,
  // The input builder knows which there are.
  chatTemplateKwargs: CHECKS.elsewhere,
  onText: CHECKS.callback,
  onAnswer: CHECKS.callback,
  signal,
};

export const LLM_ENGINE_OPTIONS: OptionChecks<LLMEngineOptions> = {
  // The scheduler checks its own.
  maxBatchSize: CHECKS.elsewhere,
  maxPrefillBatchSize: CHECKS.elsewhere,
  maxPrefillTokens: CHECKS.elsewhere,
  maxModelLen: CHECKS.elsewhere,
  maxModelLenName: CHECKS.text,
  chunkedPrefill: CHECKS.elsewhere,
  policy: CHECKS.elsewhere,
  prefixCaching: CHECKS.elsewhere,
  draftTokens: CHECKS.elsewhere,
  draftModel: CHECKS.object,
  draftLength: CHECKS.callback,
  postprocessor: CHECKS.object,
  samplingDefaults: CHECKS.object,
  onStep: CHECKS.callback,
};

const {
  numBlocks: _,
  use: _use,
  largestStep: _step,
  shownPlaces: _places,
  ...runnerOptions
} = MODEL_RUNNER_OPTIONS;

export const PA_RUNNER_OPTIONS: OptionChecks<PARunnerOptions> = {
  ...runnerOptions,
  maxBatchSize: CHECKS.count,
  maxInputLength: CHECKS.count,
  maxOutputLength: CHECKS.count,
  maxPrefillBatchSize: CHECKS.count,
  maxPrefillTokens: CHECKS.count,
  chunkedPrefill: CHECKS.flag,
  prefixCaching: CHECKS.flag,
  draftTokens: CHECKS.integer,
  draftModelPath: CHECKS.text,
  policy: oneOf(...POLICY_NAMES),
  cacheBytes: CHECKS.bytes,
  memoryBudget: CHECKS.bytes,
  maxModelLen: CHECKS.count,
  usualModelLen: CHECKS.count,
  sampling: CHECKS.object,
};

const {
  modelPath: _modelPath,
  loraModules: _loraModules,
  chatTemplate: _chatTemplate,
  allowedLocalMediaPath: _allowedLocalMediaPath,
  kvQuant: _kvQuant,
  blockSize: _blockSize,
  profile: _profile,
  ...encoderOptions
} = runnerOptions;

export const ENCODER_OPTIONS: OptionChecks<EncoderOptions> = {
  ...encoderOptions,
  maxBatchTokens: CHECKS.count,
  maxSeqLength: CHECKS.count,
};

export const EMBED_OPTIONS: OptionChecks<EmbedOptions> = {
  promptName: CHECKS.text,
  prompt: CHECKS.text,
  dimensions: CHECKS.count,
  signal,
};

export const RERANK_OPTIONS: OptionChecks<RerankOptions> = { instruction: CHECKS.text, signal };

export const OPEN_ENGINE_OPTIONS: OptionChecks<OpenEngineOptions> = {
  ...PA_RUNNER_OPTIONS,
  onStep: CHECKS.callback,
};

const {
  modelPath: _path,
  maxBatchSize: maxNumSeqs,
  maxInputLength: _input,
  maxOutputLength: _output,
  maxPrefillBatchSize: _prefills,
  maxPrefillTokens: maxNumBatchedTokens,
  chunkedPrefill: _chunked,
  cacheBytes: _cache,
  usualModelLen: _usual,
  ...engineOptions
} = OPEN_ENGINE_OPTIONS;

export const LLM_OPTIONS: OptionChecks<LLMOptions> = {
  ...engineOptions,
  maxNumSeqs,
  maxNumBatchedTokens,
  // A text is read where it is used.
  memoryBudget: CHECKS.elsewhere,
};

export const CHAT_SESSION_OPTIONS: OptionChecks<ChatSessionOptions> = {
  system: CHECKS.text,
  messages: CHECKS.list,
};

/** What is about its tokens, and what is about the request. */
export function samplingOf(
  options: SamplingOptions & GenerateOptions,
): [sampling: SamplingOptions, generate: GenerateOptions] {
  const entries = Object.entries(options);
  const isOfRequest = ([name]: [string, unknown]) => Object.hasOwn(GENERATE_OPTIONS, name);
  return [
    Object.fromEntries(entries.filter((entry) => !isOfRequest(entry))),
    Object.fromEntries(entries.filter(isOfRequest)),
  ];
}
