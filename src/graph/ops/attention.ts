import { unless } from './definition.js';
import type { Inputs, TensorDesc } from './inputs.js';

/** What a mask of attention means, for an engine that then needs no mask tensor. */
export interface MaskMeaning {
  /** A query sees keys at its own position and before: replaces a mask tensor. */
  readonly causal?: true;
  /** With `causal`: a query at position p sees keys in (p - windowSize, p], as `sliding_window` in transformers. */
  readonly windowSize?: number;
  /** With `causal`: a query at position p sees keys in [p - p % chunkSize, p]: `attention_chunk_size` in transformers. */
  readonly chunkSize?: number;
  /** [heads]. With `causal`: `slope * (j - p)` is added to the score of a query at position p and a key at j (ALiBi). */
  readonly slopes?: readonly number[];
}

/** The key of latent attention (MLA), which ATB has. */
export interface LatentKeys {
  /** Values are the first so many numbers of each key, so that there is no input of them; `kvHeadNum` is 1. */
  readonly mlaVHeadSize?: number;
}

/** Whether values are inputs of their own. */
export const hasValues = ({ mlaVHeadSize = 0 }: LatentKeys): boolean => mlaVHeadSize === 0;

/** Which input follows queries, keys and values: a mask or lengths of SelfAttention, block tables of PagedAttention. */
export const valuesEnd = (latent: LatentKeys): number => (hasValues(latent) ? 3 : 2);

/** Extension keys of attention. */
export interface AttentionKeys extends MaskMeaning {
  /** A scaled score s becomes `softcap * tanh(s / softcap)` before the mask. Masks cannot say it, nor can ATB. */
  readonly softcap?: number;
  /** The last input, f32 [headNum], takes part in each head's softmax as the score of a key without a value (gpt-oss). */
  readonly hasSinks?: boolean;
  /**
   * With `causal`: an input behind the lengths, i32 [tokens], says how many keys of its sequence each query sees, in place of
   * those up to its own.
   */
  readonly hasSeen?: boolean;
}

export const ATTENTION_KEYS = {
  causal: [true],
  windowSize: 'integer',
  chunkSize: 'integer',
  slopes: 'numbers',
  softcap: 'number',
  hasSinks: 'bool',
  hasSeen: 'bool',
} as const;

interface Heads {
  readonly headNum: number;
  readonly kvHeadNum: number;
}

/** Whether an attention operation reads a mask. */
export const hasMask = (maskType: string | undefined): boolean =>
  maskType !== undefined && maskType !== 'MASK_TYPE_UNDEFINED';

/** Which input of an operation is its mask, where it has one. */
export function maskInputOf(type: string, param: LatentKeys): number | undefined {
  if (type === 'SelfAttention') return valuesEnd(param);
  return type === 'PagedAttention' ? valuesEnd(param) + 2 : undefined;
}

/** Whether an operation multiplies its mask in bf16 by a large number; others add it. See `BLOCKED` of step-inputs. */
export const multipliesMask = (type: string, param: LatentKeys): boolean =>
  type === 'SelfAttention' || !hasValues(param);

/** Those that a param has. */
export const attentionKeysOf = ({
  causal,
  windowSize,
  chunkSize,
  slopes,
  softcap,
  hasSinks,
  hasSeen,
}: AttentionKeys): AttentionKeys => ({
  ...(causal && { causal }),
  ...(windowSize !== undefined && { windowSize }),
  ...(chunkSize !== undefined && { chunkSize }),
  ...(slopes !== undefined && { slopes }),
  ...(softcap !== undefined && { softcap }),
  ...(hasSinks && { hasSinks }),
  ...(hasSeen && { hasSeen }),
});

/** Values may have a head size of their own, and then so has the result. */
export function attentionShapes(
  inputs: Inputs,
  { headNum, kvHeadNum, mlaVHeadSize = 0 }: Heads & LatentKeys,
): TensorDesc[] {
  const { dtype, shape } = inputs.at(0, 3);
  const [tokens = 0] = shape;
  inputs.equal('query heads', inputs.size(0, 1), headNum);
  inputs.equal('head size of keys', inputs.size(1, -1), inputs.size(0, 2));
  inputs.equal('key heads', inputs.size(1, -2), kvHeadNum);
  const isLatent = mlaVHeadSize > 0;
  if (!isLatent) inputs.sameShape(2, inputs.at(1).shape.with(-1, inputs.size(2, -1)));
  inputs.sameDtype(0, 1, ...(isLatent ? [] : [2]));
  if (mlaVHeadSize > inputs.size(1, -1))
    inputs.fail(`mlaVHeadSize ${mlaVHeadSize} is more than a key has, ${inputs.size(1, -1)}`);
  if (kvHeadNum < 1 || headNum % kvHeadNum !== 0) {
    inputs.fail(`headNum ${headNum} is not a multiple of kvHeadNum ${kvHeadNum}`);
  }
  return [{ dtype, shape: [tokens, headNum, isLatent ? mlaVHeadSize : inputs.size(2, -1)] }];
}

export const headSize = (inputs: readonly TensorDesc[]): number => inputs[0]?.shape.at(-1) ?? 0;

export function headProblems(
  {
    headNum,
    kvHeadNum,
    qkScale,
    ...latent
  }: Heads & LatentKeys & { readonly qkScale: number; readonly maskType?: string | undefined },
  inputs: readonly TensorDesc[],
): string[] {
  return [
    ...unless(headNum > 0, `headNum must be positive, found ${headNum}`),
    ...unless(
      kvHeadNum >= 0 && headNum % (kvHeadNum || headNum) === 0,
      `headNum ${headNum} must be a multiple of kvHeadNum ${kvHeadNum}`,
    ),
    ...unless(
      Number.isInteger(latent.mlaVHeadSize ?? 0),
      `mlaVHeadSize must be an integer, found ${latent.mlaVHeadSize}`,
    ),
    ...unless(hasValues(latent) || kvHeadNum === 1, `mlaVHeadSize needs kvHeadNum 1, found ${kvHeadNum}`),
    // MlaParamCheck of both operations.
    ...unless(
      hasValues(latent) || latent.maskType !== 'MASK_TYPE_ALIBI',
      'mlaVHeadSize takes no mask of ALiBi',
    ),
    ...unless(qkScale > 0, `qkScale must be positive, found ${qkScale}`),
    ...unless(inputs[0]?.shape.length === 3, 'the query must be [tokens, heads, headSize]'),
  ];
}
