/** Sampling of one sequence. Counters and random numbers depend only on this, its tokens and the step. */
export interface SamplerOptions {
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly logitBias: ReadonlyArray<readonly [token: number, bias: number]>;
  /** Any integer in [0, 2^53). */
  readonly seed: number;
  /** Log-probs of the sampled token and of this many best; -1: none at all. */
  readonly topLogprobs: number;
  /** Tokens of the prompt, for the repetition penalty. */
  readonly promptTokens: Int32Array;
  /** Never chosen before `minTokens` were generated, unless there is a `grammar`. */
  readonly endTokens?: Int32Array;
  /** With `endTokens`. */
  readonly minTokens?: number;
  /** An id of `compileGrammar` that the generated text must obey. It is whole after at most `maxTokens` tokens. */
  readonly grammar?: number;
  /** With `grammar`. Throws NATIVE_GRAMMAR_NO_ROOM when the shortest text has more bytes. */
  readonly maxTokens?: number;
  /** Of no effect with `grammar`. */
  readonly rules?: NativeTokenRules;
}

/** Rules beyond penalties; ids beyond the logits never come. */
export interface NativeTokenRules {
  /** Added to the logit of the last token where the others stand at the end of prompt and text; -Infinity forbids it. */
  readonly sequenceBias: ReadonlyArray<readonly [tokens: Int32Array, bias: number]>;
  /** Tokens of a row that comes once; 0: off. */
  readonly noRepeatNgram: number;
  /** One of them is chosen behind `lastAt` tokens. */
  readonly forcedLast: Int32Array;
  readonly lastAt: number;
  /** Behind `growthStart` tokens, each token makes them likelier by the factor `growth`. */
  readonly growing: Int32Array;
  readonly growthStart: number;
  readonly growth: number;
  /** Never chosen first. */
  readonly notFirst: Int32Array;
}

/** Log-softmax of the logits as the model made them: before bias, penalties and temperature. */
export interface SampledLogprobs {
  readonly logprob: number;
  readonly topTokens: Int32Array;
  readonly topLogprobs: Float32Array;
}
