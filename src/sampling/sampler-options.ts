import type { SamplerOptions } from '../native/binding.js';
import { DISTRIBUTION_FIELDS, isSampled, pick, type SamplingParams } from './sampling-params.js';
import { nativeTokenRules } from './token-rules.js';

/**
 * What the native sampler needs; `fallbackSeed` stands in when the request names no seed. `eosTokenIds`: what ends texts,
 * besides the request's own stop tokens.
 */
export function toSamplerOptions(
  params: SamplingParams,
  promptTokens: ArrayLike<number>,
  fallbackSeed: number,
  eosTokenIds: Iterable<number> = [],
): SamplerOptions {
  const { tokenRules: rules, stopTokenIds, ignoreEos, maxTokens } = params;
  const eos = ignoreEos ? [] : [...eosTokenIds];
  const minTokens = Math.max(params.minTokens, (rules.minLength ?? 0) - promptTokens.length);
  const ends = minTokens > 0 ? [...stopTokenIds, ...eos] : [];
  return {
    ...(ends.length > 0 && { endTokens: Int32Array.from(new Set(ends)), minTokens }),
    ...(Object.keys(rules).length > 0 && { rules: nativeTokenRules(rules, maxTokens, eos) }),
    ...pick(params, DISTRIBUTION_FIELDS),
    temperature: isSampled(params) ? params.temperature : 0,
    logitBias: [
      ...params.logitBias,
      ...params.suppressTokens.map((id) => [id, Number.NEGATIVE_INFINITY] as const),
    ],
    seed: params.seed ?? fallbackSeed,
    topLogprobs: params.logprobs ?? -1,
    promptTokens: Int32Array.from(promptTokens),
  };
}
