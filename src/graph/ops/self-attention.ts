import {
  ATTENTION_KEYS,
  type AttentionKeys,
  attentionShapes,
  hasMask,
  hasValues,
  headProblems,
  headSize,
  type LatentKeys,
  valuesEnd,
} from './attention.js';
import { count, lacking, type OpDefinition, onlyKnown, unless } from './definition.js';

/**
 * Prefill over packed sequences: q[tokens, heads, headDim], k[tokens, kvHeads, headDim], (v without `mlaVHeadSize`),
 * (mask), seqLen[batch].
 * Without a mask every token of a sequence sees every other; then seqLen may be [2, batch], queries of each sequence and
 * its keys, which may be other tokens in other numbers.
 */
export interface SelfAttentionParam extends AttentionKeys, LatentKeys {
  readonly calcType: 'PA_ENCODER';
  readonly headNum: number;
  readonly kvHeadNum: number;
  readonly qkScale: number;
  /** A mask is [S, S] or [batch, S, S], one of ALiBi [heads, S, S] or [batch, heads, S, S]. */
  readonly maskType?: 'MASK_TYPE_UNDEFINED' | 'MASK_TYPE_NORM' | 'MASK_TYPE_ALIBI';
  /** 1: the mask is a [128, 128] triangle that stands for "causal" at any length. */
  readonly isTriuMask?: 0 | 1;
  /** HIGH_PRECISION scales f16 masks as bf16 masks are scaled. */
  readonly kernelType?: 'KERNELTYPE_DEFAULT' | 'KERNELTYPE_HIGH_PRECISION';
}

export const selfAttention: OpDefinition<'SelfAttention', SelfAttentionParam> = {
  type: 'SelfAttention',
  keys: ATTENTION_KEYS,
  lacks: (param) => lacking(param, 'calcType', 'PA_ENCODER'),
  arity: ({ maskType, hasSinks, hasSeen, ...latent }) => ({
    inputs: 3 + count(hasValues(latent), hasMask(maskType), hasSeen, hasSinks),
    outputs: 1,
  }),
  shapes(inputs, param) {
    inputs.at(1, 3);
    const isMasked = hasMask(param.maskType);
    const lengths = valuesEnd(param) + count(isMasked);
    if (inputs.at(lengths, 1, ...(isMasked || param.causal ? [] : [2])).shape.length === 2)
      inputs.equal('rows of seqLen', inputs.size(lengths, 0), 2);
    else inputs.equal('key tokens', inputs.size(1, 0), inputs.size(0, 0));
    if (isMasked) {
      const mask = valuesEnd(param);
      inputs.sameDtype(0, mask);
      if (param.isTriuMask === 1) inputs.sameShape(mask, [128, 128]);
      else inputs.equal('columns of the mask', inputs.size(mask, -1), inputs.size(mask, -2));
      if (param.maskType === 'MASK_TYPE_ALIBI') inputs.equal('masks', inputs.size(mask, -3), param.headNum);
    }
    return attentionShapes(inputs, param);
  },
  atb: {
    extensionInputs: ({ hasSinks, hasSeen }) => count(hasSinks, hasSeen),
    // ATB, param.cpp: seqLen.
    hostInputs: ({ maskType, ...latent }) => [valuesEnd(latent) + count(hasMask(maskType))],
    section({ maskType, ...latent }) {
      if (!hasValues(latent)) return `SelfAttentionOperationMLA${hasMask(maskType) ? 'Mask' : ''}`;
      return `SelfAttentionOperationEncoder${hasMask(maskType) ? '' : 'Mask0'}`;
    },
    problems: ({ maskType, isTriuMask = 0, ...heads }, inputs) => [
      ...headProblems({ ...heads, maskType }, inputs),
      // self_attention_operation.cpp: GetInputNum, and what CreateOperation asks of each form.
      ...onlyKnown(heads, KNOWN_FORM),
      ...unless(
        maskType === undefined || MASKS.has(maskType),
        `maskType must be one of ${[...MASKS].join(', ')}, found ${maskType}`,
      ),
      ...unless(isTriuMask === 0 || isTriuMask === 1, `isTriuMask must be 0 or 1, found ${isTriuMask}`),
      ...unless(isTriuMask !== 1 || hasMask(maskType), 'isTriuMask 1 needs a mask'),
      ...unless(headSize(inputs) <= 576, `head size must be at most 576, found ${headSize(inputs)}`),
    ],
  },
};

/** Attention over packed sequences of floats. Other forms have caches, scales or layouts that no graph of ours has. */
const KNOWN_FORM = {
  calcType: 'PA_ENCODER',
  quantType: 'TYPE_QUANT_UNDEFINED',
  outDataType: 'ACL_DT_UNDEFINED',
  kvcacheCfg: 'K_CACHE_V_CACHE',
  clampType: 'CLAMP_TYPE_UNDEFINED',
  scaleType: 'SCALE_TYPE_TOR',
  inputLayout: 'TYPE_BSND',
  batchRunStatusEnable: false,
};

/** Compressed masks have sizes and slopes of their own. */
const MASKS: ReadonlySet<string> = new Set(['MASK_TYPE_UNDEFINED', 'MASK_TYPE_NORM', 'MASK_TYPE_ALIBI']);
