/**
 * What our graphs can say and ATB cannot. Models never use these: engine passes introduce them, and the legality check
 * refuses them, so a graph for export never holds one. fp32 activations are the other extension.
 */
export interface ExtensionKeys {
  /** A query sees keys at its own position and before: replaces a mask tensor. */
  readonly causal?: true;
  /** With `causal`: a query at position p sees keys in (p - windowSize, p], as `sliding_window` in transformers. */
  readonly windowSize?: number;
}

/** Of products of integers: sums that are not rounded, for models in f32 and for logits, as ATB's own Linear can. */
export interface QuantExtensionKeys {
  readonly outDataType?: 'ACL_DT_UNDEFINED' | 'ACL_FLOAT';
}

/** Param keys beyond ATB's, by op type. */
export const EXTENSION_KEYS: Readonly<
  Record<string, readonly (keyof ExtensionKeys | keyof QuantExtensionKeys)[]>
> = {
  SelfAttention: ['causal', 'windowSize'],
  PagedAttention: ['causal', 'windowSize'],
  W8A16MatMul: ['outDataType'],
  W4A16MatMul: ['outDataType'],
  W8A8MatMul: ['outDataType'],
};

/** Operations beyond ATB's. */
export interface ExtensionOpParams {
  /**
   * act(norm(x) w + bias) + residual. x[tokens, k], (gamma[k] with `normEpsilon`), w[n, k], (scale[n, groups] with
   * `weightBits`, w being integers), (bias[n]), (residual) -> [tokens, n], or n / 2 columns with swiglu, whose weight is
   * gate over up.
   */
  FusedLinear: {
    readonly transposeB?: true;
    readonly hasBias?: boolean;
    readonly normEpsilon?: number;
    readonly activation?: 'none' | 'swiglu';
    readonly hasResidual?: boolean;
    readonly outDataType?: 'ACL_DT_UNDEFINED' | 'ACL_FLOAT';
    readonly weightBits?: 8 | 4;
    /** 0: one scale for each output channel. */
    readonly quantGroupSize?: number;
    /** Rows become int8 with a scale each, as DynamicQuant makes them. */
    readonly int8Activations?: boolean;
  };
  /**
   * Split, RmsNorm of each head, Rope and ReshapeAndCache. qkv[tokens, (heads + 2 kvHeads) * headDim], cos, sin, kCache,
   * vCache, slots, (gammas[headDim] of q and k with `normEpsilon`) -> q[tokens, heads * headDim], and the caches in place.
   */
  QkvRopeCache: {
    readonly headNum: number;
    readonly kvHeadNum: number;
    readonly headDim: number;
    readonly rotaryCoeff?: 2;
    readonly normEpsilon?: number;
  };
  /** weight int8[n, k] (4 bits: [n, k / 2]), indices[m], scale[n, groups] -> rows of integer * scale [m, k]. */
  GatherDequant: {
    readonly weightBits?: 8 | 4;
    /** 0: one scale for each row. */
    readonly quantGroupSize?: number;
    readonly outDataType: 'ACL_FLOAT' | 'ACL_FLOAT16' | 'ACL_BF16';
  };
}

const EXTENSION_OP_TYPES: { readonly [T in keyof ExtensionOpParams]: true } = {
  FusedLinear: true,
  GatherDequant: true,
  QkvRopeCache: true,
};

/** Op types beyond ATB's. */
export const EXTENSION_OPS: readonly string[] = Object.keys(EXTENSION_OP_TYPES);
