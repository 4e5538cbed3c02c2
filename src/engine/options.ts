import { CHECKS, MODEL_RUNNER_OPTIONS, type OptionChecks } from '../runner/options.js';
import { isAbortSignal } from './abort-signals.js';
import type { GenerateOptions, LLMEngineOptions } from './llm-engine.js';
import type { OpenEngineOptions } from './open-engine.js';
import type { InferOptions, PARunnerOptions } from './pa-runner.js';

const signal = {
  expected: (value: unknown) => (isAbortSignal(value) ? undefined : 'an AbortSignal'),
};

export const GENERATE_OPTIONS: OptionChecks<GenerateOptions> = { signal };

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
  postprocessor: CHECKS.object,
  samplingDefaults: CHECKS.object,
  onStep: CHECKS.callback,
};

const { numBlocks: _, ...runnerOptions } = MODEL_RUNNER_OPTIONS;

export const PA_RUNNER_OPTIONS: OptionChecks<PARunnerOptions> = {
  ...runnerOptions,
  maxBatchSize: CHECKS.count,
  maxInputLength: CHECKS.count,
  maxOutputLength: CHECKS.count,
  maxPrefillBatchSize: CHECKS.count,
  maxPrefillTokens: CHECKS.count,
  cacheBytes: CHECKS.bytes,
  sampling: CHECKS.object,
};

export const OPEN_ENGINE_OPTIONS: OptionChecks<OpenEngineOptions> = {
  ...PA_RUNNER_OPTIONS,
  onStep: CHECKS.callback,
};
