import type { ExtensionKeys, ExtensionOpParams, QuantExtensionKeys } from './extensions.js';

/**
 * Parameters of ATB operations. Field names and enum strings are those that ATB's `BaseOperation(type, json)` reads, so
 * `JSON.stringify(param)` is the wire format; there is no renaming layer. A key that is absent takes ATB's default.
 * Ops and keys that ATB does not have are in extensions.ts, and nowhere else.
 */
export interface AtbOpParams extends ExtensionOpParams {
  /** x[n, ...], indices[m] -> rows of x along `axis`. */
  Gather: { readonly axis: number; readonly batchDims?: number };
  /** x[tokens, k], weight[n, k] (`transposeB`), (bias[n]) -> [tokens, n]. */
  Linear: LinearParam;
  /** x[tokens, k], weight[n, k], (residual) -> matmul and collective in one operation. */
  LinearParallel: LinearParallelParam;
  /** `splitSizes` asks for a non-negative `splitDim`; `splitNum` is 2 or 3. */
  Split: { readonly splitDim: number; readonly splitNum: 2 | 3; readonly splitSizes?: readonly number[] };
  /** Offsets may be negative (from the end); a size of -1 reaches the end. */
  Slice: { readonly offsets: readonly number[]; readonly size: readonly number[] };
  /** Exactly two inputs. */
  Concat: { readonly concatDim: number };
  Transpose: { readonly perm: readonly number[] };
  Elewise: ElewiseParam;
  Activation: ActivationParam;
  Sigmoid: NoParam;
  Cast: { readonly dtype: AclDataType };
  RmsNorm: RmsNormParam;
  LayerNorm: LayerNormParam;
  /** q[tokens, heads * headDim], k, cos[tokens, headDim], sin, seqLen[batch] -> q, k. 2: halves are rotated (LLaMA). */
  Rope: { readonly rotaryCoeff: number; readonly cosFormat?: number };
  /** key[tokens, kvHeads, headDim], value, kCache[blocks, blockSize, kvHeads, headDim], vCache, slots[tokens] -> caches. */
  ReshapeAndCache: ReshapeAndCacheParam;
  SelfAttention: SelfAttentionParam;
  PagedAttention: PagedAttentionParam;
  AllReduce: AllReduceParam;
  /** x -> [rankSize, ...x]. */
  AllGather: { readonly processGroup?: string };
  /** Softmax over the given axes, which are consecutive, together. */
  Softmax: { readonly axes: readonly number[] };
  /** The `num[0]` largest along the last axis, descending -> values, indices. */
  Sort: { readonly num: readonly number[] };
  /** x -> x without the axes. */
  Reduce: {
    readonly reduceType: 'REDUCE_MAX' | 'REDUCE_MIN' | 'REDUCE_SUM';
    readonly axis: readonly number[];
  };
  /** Running sums along one axis. */
  Cumsum: { readonly axes: readonly number[]; readonly exclusive?: boolean; readonly reverse?: boolean };
  /** Counts of copies along each axis; axes may be added in front. */
  Repeat: { readonly multiples: readonly number[] };
  /** x, mask -> x with `value[0]` where the mask is not 0; without mask, a constant f16 tensor of shape `outDim`. */
  Fill: {
    readonly withMask?: boolean;
    readonly value: readonly number[];
    readonly outDim?: readonly number[];
  };
  /** condition, x, y -> x where the condition is not 0, else y. */
  Where: NoParam;
  /** target, source: writes source into target[starts:ends:strides], in place; no outputs. */
  SetValue: {
    readonly starts: readonly number[];
    readonly ends: readonly number[];
    readonly strides: readonly number[];
  };
  /** x -> int8 per row, scale[rows]; symmetric. */
  DynamicQuant: NoParam;
  /** x, weight int8, scale, offset, (bias) -> x's dtype. */
  W8A16MatMul: WeightQuantMatMulParam;
  /** As W8A16MatMul with two 4-bit weights in each byte. */
  W4A16MatMul: WeightQuantMatMulParam;
  /** x int8, weight int8, scale, (perTokenScale[tokens]), (bias) -> bf16 or f16. */
  W8A8MatMul: QuantExtensionKeys & {
    readonly transposeB?: boolean;
    readonly hasBias?: boolean;
    readonly isBF16?: boolean;
    readonly hasPerTokenScale?: boolean;
  };
}

export type AtbOpType = keyof AtbOpParams;

type NoParam = Readonly<Record<string, never>>;

export type AclDataType =
  | 'ACL_DT_UNDEFINED'
  | 'ACL_FLOAT'
  | 'ACL_FLOAT16'
  | 'ACL_BF16'
  | 'ACL_INT8'
  | 'ACL_INT32'
  | 'ACL_INT64';

export interface LinearParam {
  readonly transposeA?: boolean;
  /** ATB's default is true: the weight is [n, k]. */
  readonly transposeB: boolean;
  /** ATB's default is true. */
  readonly hasBias: boolean;
  /** Adds to the third input, f32, and gives f32. */
  readonly enAccum?: boolean;
  readonly outDataType?: AclDataType;
}

export interface LinearParallelParam {
  readonly type?: 'LINEAR_ALL_REDUCE' | 'LINEAR_REDUCE_SCATTER' | 'ALL_GATHER_LINEAR' | 'PURE_LINEAR';
  readonly backend: 'hccl' | 'lccl' | 'lcoc' | 'mc2';
  readonly rank: number;
  readonly rankSize: number;
  readonly rankRoot?: number;
  readonly rankTableFile?: string;
  readonly commDomain?: string;
  readonly transWeight: boolean;
  readonly hasResidual?: boolean;
}

export type ElewiseParam =
  | {
      readonly elewiseType:
        | 'ELEWISE_ADD'
        | 'ELEWISE_SUB'
        | 'ELEWISE_MUL'
        | 'ELEWISE_REALDIV'
        | 'ELEWISE_COS'
        | 'ELEWISE_SIN'
        | 'ELEWISE_NEG'
        | 'ELEWISE_TANH'
        | 'ELEWISE_LOGICAL_NOT'
        | 'ELEWISE_LOGICAL_AND'
        | 'ELEWISE_LOGICAL_OR'
        | 'ELEWISE_LESS'
        | 'ELEWISE_GREATER'
        | 'ELEWISE_EQUAL';
    }
  | { readonly elewiseType: 'ELEWISE_MULS'; readonly mulsParam: { readonly varAttr: number } }
  | { readonly elewiseType: 'ELEWISE_CAST'; readonly outTensorType: AclDataType };

export type ActivationParam =
  | {
      readonly activationType:
        | 'ACTIVATION_RELU'
        | 'ACTIVATION_FAST_GELU'
        | 'ACTIVATION_SIGMOID'
        | 'ACTIVATION_LOG';
    }
  /** tanh form, or the exact one (`NONE_MODE`). */
  | { readonly activationType: 'ACTIVATION_GELU'; readonly geluMode: 'TANH_MODE' | 'NONE_MODE' }
  | { readonly activationType: 'ACTIVATION_SWISH'; readonly scale?: number }
  /** dy, x -> gradient of the forward operation by x. */
  | { readonly activationType: 'ACTIVATION_SWIGLU_BACKWARD'; readonly dim: number }
  /** x = [a, b] along `dim` -> silu(a) * b. */
  | { readonly activationType: 'ACTIVATION_SWIGLU_FORWARD'; readonly dim: number };

type NormQuant = 'QUANT_UNDEFINED' | 'QUANT_INT8';

/** `layerType` selects which of the nested blocks ATB reads. */
export type RmsNormParam =
  | {
      readonly layerType: 'RMS_NORM_NORM';
      readonly normParam: {
        readonly epsilon: number;
        readonly quantType?: NormQuant;
        /** GEMMA_MODEL: gamma + 1. */
        readonly modelType?: 'LLAMA_MODEL' | 'GEMMA_MODEL';
      };
    }
  | {
      readonly layerType: 'RMS_NORM_PRENORM';
      readonly preNormParam: ResidualRmsNorm;
    }
  | {
      readonly layerType: 'RMS_NORM_POSTNORM';
      readonly postNormParam: ResidualRmsNorm;
    };

/** Of x + (bias) + residual. PRENORM gives the sum as well. */
interface ResidualRmsNorm {
  readonly epsilon: number;
  readonly hasBias?: boolean;
  readonly quantType?: NormQuant;
}

export type LayerNormParam =
  | {
      readonly layerType: 'LAYER_NORM_NORM';
      readonly normParam: {
        readonly epsilon: number;
        readonly beginNormAxis: number;
        readonly beginParamsAxis?: number;
        readonly quantType?: NormQuant;
      };
    }
  | {
      readonly layerType: 'LAYER_NORM_PRENORM';
      readonly preNormParam: ResidualLayerNorm;
    }
  | {
      readonly layerType: 'LAYER_NORM_POSTNORM';
      readonly postNormParam: ResidualLayerNorm;
    };

/** Of x + zoomScaleValue * residual. PRENORM gives the sum as well. */
interface ResidualLayerNorm {
  readonly epsilon: number;
  readonly zoomScaleValue?: number;
  readonly quantType?: NormQuant;
}

export interface ReshapeAndCacheParam {
  readonly compressType?: 'COMPRESS_TYPE_UNDEFINED';
  readonly kvCacheCfg?: 'K_CACHE_V_CACHE';
}

/**
 * Prefill over packed sequences: q[tokens, heads, headDim], k[tokens, kvHeads, headDim], v, (mask), seqLen[batch].
 * Without a mask every token of a sequence sees every other.
 */
export interface SelfAttentionParam extends ExtensionKeys {
  readonly calcType: 'PA_ENCODER';
  readonly headNum: number;
  readonly kvHeadNum: number;
  readonly qkScale: number;
  readonly maskType?: 'MASK_TYPE_UNDEFINED' | 'MASK_TYPE_NORM';
  /** 1: the mask is a [128, 128] triangle that stands for "causal" at any length. */
  readonly isTriuMask?: 0 | 1;
  /** HIGH_PRECISION scales f16 masks as bf16 masks are scaled. */
  readonly kernelType?: 'KERNELTYPE_DEFAULT' | 'KERNELTYPE_HIGH_PRECISION';
}

/**
 * Attention against the paged cache: q[tokens, heads, headDim], kCache, vCache, blockTables[batch, maxBlocks],
 * contextLens[batch], (mask), (qLens[batch] with CALC_TYPE_SPEC, where a sequence may bring several tokens).
 */
export interface PagedAttentionParam extends ExtensionKeys {
  readonly headNum: number;
  readonly kvHeadNum: number;
  readonly qkScale: number;
  readonly maskType?: 'MASK_TYPE_UNDEFINED' | 'MASK_TYPE_NORM' | 'MASK_TYPE_SPEC';
  readonly calcType?: 'CALC_TYPE_UNDEFINED' | 'CALC_TYPE_SPEC';
}

export interface AllReduceParam {
  readonly allReduceType?: 'sum' | 'max' | 'min';
  readonly processGroup?: string;
}

export interface WeightQuantMatMulParam extends QuantExtensionKeys {
  readonly transposeB: boolean;
  readonly hasBias: boolean;
  /** 0: one scale for each output channel. */
  readonly quantGroupSize: number;
}

/** How many tensors an operation reads and writes, in ATB's order. */
export interface Arity {
  readonly inputs: number;
  readonly outputs: number;
}

const fixed = (inputs: number, outputs: number) => (): Arity => ({ inputs, outputs });
const count = (...optional: readonly (boolean | undefined)[]): number => optional.filter(Boolean).length;

/** A mapped type: an op without an arity does not compile. */
export const ARITY: { readonly [T in AtbOpType]: (param: AtbOpParams[T]) => Arity } = {
  Gather: fixed(2, 1),
  Linear: (p) => ({ inputs: 2 + count(p.hasBias || p.enAccum), outputs: 1 }),
  LinearParallel: (p) => ({ inputs: 2 + count(p.hasResidual), outputs: 1 }),
  Split: (p) => ({ inputs: 1, outputs: p.splitNum }),
  Slice: fixed(1, 1),
  Concat: fixed(2, 1),
  Transpose: fixed(1, 1),
  Elewise: (p) => ({ inputs: UNARY_ELEWISE.has(p.elewiseType) ? 1 : 2, outputs: 1 }),
  Activation: (p) => ({ inputs: 1 + count(p.activationType === 'ACTIVATION_SWIGLU_BACKWARD'), outputs: 1 }),
  Sigmoid: fixed(1, 1),
  Cast: fixed(1, 1),
  RmsNorm(p) {
    if (p.layerType === 'RMS_NORM_NORM') {
      return { inputs: p.normParam.quantType === 'QUANT_INT8' ? 5 : 2, outputs: 1 };
    }
    const pre = p.layerType === 'RMS_NORM_PRENORM';
    const { quantType, hasBias } = pre ? p.preNormParam : p.postNormParam;
    const quant = quantType === 'QUANT_INT8';
    const scaled = pre ? 6 : 5;
    return { inputs: quant ? scaled : 3 + count(hasBias), outputs: pre || quant ? 2 : 1 };
  },
  LayerNorm(p) {
    if (p.layerType === 'LAYER_NORM_NORM') {
      return { inputs: p.normParam.quantType === 'QUANT_INT8' ? 5 : 3, outputs: 1 };
    }
    const pre = p.layerType === 'LAYER_NORM_PRENORM';
    const quant = (pre ? p.preNormParam : p.postNormParam).quantType === 'QUANT_INT8';
    return { inputs: quant ? 6 : 4, outputs: pre || quant ? 2 : 1 };
  },
  Rope: fixed(5, 2),
  ReshapeAndCache: fixed(5, 2),
  SelfAttention: (p) => ({ inputs: 4 + count(hasMask(p.maskType)), outputs: 1 }),
  PagedAttention: (p) => ({
    inputs: 5 + count(hasMask(p.maskType), p.calcType === 'CALC_TYPE_SPEC'),
    outputs: 1,
  }),
  AllReduce: fixed(1, 1),
  AllGather: fixed(1, 1),
  Softmax: fixed(1, 1),
  Sort: fixed(1, 2),
  Reduce: fixed(1, 1),
  Cumsum: fixed(1, 1),
  Repeat: fixed(1, 1),
  Fill: (p) => ({ inputs: p.withMask ? 2 : 0, outputs: 1 }),
  Where: fixed(3, 1),
  SetValue: fixed(2, 0),
  DynamicQuant: fixed(1, 2),
  W8A16MatMul: (p) => ({ inputs: 4 + count(p.hasBias), outputs: 1 }),
  W4A16MatMul: (p) => ({ inputs: 4 + count(p.hasBias), outputs: 1 }),
  W8A8MatMul: (p) => ({ inputs: 3 + count(p.hasPerTokenScale, p.hasBias), outputs: 1 }),
  FusedLinear: (p) => ({
    inputs: 2 + count(p.normEpsilon !== undefined, p.weightBits !== undefined, p.hasBias, p.hasResidual),
    outputs: 1,
  }),
  GatherDequant: fixed(3, 1),
  QkvRopeCache: (p) => ({ inputs: p.normEpsilon === undefined ? 6 : 8, outputs: 3 }),
};

const UNARY_ELEWISE: ReadonlySet<ElewiseParam['elewiseType']> = new Set([
  'ELEWISE_CAST',
  'ELEWISE_MULS',
  'ELEWISE_COS',
  'ELEWISE_SIN',
  'ELEWISE_NEG',
  'ELEWISE_TANH',
  'ELEWISE_LOGICAL_NOT',
]);

/** Whether an attention operation reads a mask. */
export const hasMask = (maskType: PagedAttentionParam['maskType']): boolean =>
  maskType !== undefined && maskType !== 'MASK_TYPE_UNDEFINED';

const IN_PLACE: { readonly [T in AtbOpType]?: Readonly<Record<number, number>> } = {
  ReshapeAndCache: { 0: 2, 1: 3 },
  QkvRopeCache: { 1: 3, 2: 4 },
};

/** Output index -> input index, for the operations that write into what they read; those outputs have no other place. */
export function inPlaceOutputs(type: AtbOpType): Readonly<Record<number, number>> {
  return IN_PLACE[type] ?? {};
}

/** Inputs that an operation changes. */
export function writtenInputsOf(type: AtbOpType): readonly number[] {
  return type === 'SetValue' ? [0] : Object.values(inPlaceOutputs(type));
}
