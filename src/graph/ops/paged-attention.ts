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
import { count, type OpDefinition, onlyKnown, unless } from './definition.js';

/**
 * Attention against the paged cache: q[tokens, heads, headDim], kCache, (vCache without `mlaVHeadSize`), blockTables[batch, maxBlocks],
 * contextLens[batch], (mask), (qLens[batch] with CALC_TYPE_SPEC, where a sequence may bring several tokens).
 */
export interface PagedAttentionParam extends AttentionKeys, LatentKeys {
  readonly headNum: number;
  readonly kvHeadNum: number;
  readonly qkScale: number;
  /** One of ALiBi is [heads, 1, S] or [batch, heads, 1, S], and not for CALC_TYPE_SPEC. */
  readonly maskType?: 'MASK_TYPE_UNDEFINED' | 'MASK_TYPE_NORM' | 'MASK_TYPE_ALIBI' | 'MASK_TYPE_SPEC';
  readonly calcType?: 'CALC_TYPE_UNDEFINED' | 'CALC_TYPE_SPEC';
}

export const pagedAttention: OpDefinition<'PagedAttention', PagedAttentionParam> = {
  type: 'PagedAttention',
  keys: ATTENTION_KEYS,
  arity: ({ maskType, calcType, hasSinks, hasSeen, ...latent }) => ({
    inputs: 4 + count(hasValues(latent), hasMask(maskType), calcType === 'CALC_TYPE_SPEC', hasSeen, hasSinks),
    outputs: 1,
  }),
  shapes(inputs, param) {
    inputs.at(1, 4);
    const tables = valuesEnd(param);
    const batch = inputs.size(tables + 1, 0);
    inputs.at(tables, 2);
    inputs.equal('rows of the block table', inputs.size(tables, 0), batch);
    const isSpec = param.calcType === 'CALC_TYPE_SPEC';
    if (!isSpec) inputs.equal('query tokens', inputs.size(0, 0), batch);
    const isMasked = hasMask(param.maskType);
    const mask = tables + 2;
    if (isMasked) inputs.sameDtype(0, mask);
    if (param.maskType === 'MASK_TYPE_ALIBI') inputs.equal('masks', inputs.size(mask, -3), param.headNum);
    if (isSpec) inputs.sameShape(mask + count(isMasked), [batch]);
    return attentionShapes(inputs, param);
  },
  atb: {
    extensionInputs: ({ hasSinks, hasSeen }) => count(hasSinks, hasSeen),
    // ATB, param.cpp: contextLens, and qLens behind the mask.
    hostInputs({ maskType, calcType, ...latent }) {
      const contexts = valuesEnd(latent) + 1;
      return calcType === 'CALC_TYPE_SPEC' ? [contexts, contexts + 1 + count(hasMask(maskType))] : [contexts];
    },
    section({ maskType, calcType, ...latent }) {
      const [several, masked] = [calcType === 'CALC_TYPE_SPEC', hasMask(maskType)];
      if (!hasValues(latent))
        return `PagedAttentionOperationMla${masked ? 'Mask' : ''}${several ? 'Qlens' : ''}`;
      const flags = `RazorOffset0QLens${several ? 1 : 0}Mask${masked ? 1 : 0}Batch0Quant0Offset0`;
      return `PagedAttentionOperationQKVQuantOnline0QKVQuantOffline0${flags}`;
    },
    problems({ maskType, calcType = 'CALC_TYPE_UNDEFINED', ...heads }, inputs) {
      const [size, blockSize] = [headSize(inputs), inputs[1]?.shape[1] ?? 0];
      const several = calcType === 'CALC_TYPE_SPEC';
      // The kernel of latent attention takes heads of up to 576 for several tokens as for one.
      const isEnhanced = several && hasValues(heads);
      const masked = maskType === 'MASK_TYPE_NORM' || maskType === 'MASK_TYPE_SPEC';
      return [
        ...headProblems({ ...heads, maskType }, inputs),
        // paged_attention_operation.cpp, CalcParamCheck.
        ...unless(!several || masked, 'CALC_TYPE_SPEC needs maskType NORM or SPEC'),
        ...unless(several || maskType !== 'MASK_TYPE_SPEC', 'MASK_TYPE_SPEC needs CALC_TYPE_SPEC'),
        // paged_attention_operation.cpp, MlaParamCheck and MlaBatchSizeCheck.
        ...unless(
          hasValues(heads) || !several || maskType === 'MASK_TYPE_SPEC',
          'CALC_TYPE_SPEC with mlaVHeadSize needs maskType SPEC',
        ),
        ...unless(
          hasValues(heads) || (inputs[3]?.shape[0] ?? 0) <= 8192,
          `mlaVHeadSize takes at most 8192 sequences, found ${inputs[3]?.shape[0]}`,
        ),
        // paged_attention_operation.cpp: GetInputNum, DimCheck and KVCacheDimCheck910B.
        ...onlyKnown(heads, UNKNOWN_FORMS),
        ...unless(
          !hasValues(heads) || (inputs[2]?.shape.at(-1) ?? 0) <= 576,
          `values must have at most 576 numbers, found ${inputs[2]?.shape.at(-1)}`,
        ),
        ...unless(
          (inputs[valuesEnd(heads) + 1]?.shape.length ?? 1) === 1,
          `contextLens must have one axis, found [${inputs[valuesEnd(heads) + 1]?.shape}]`,
        ),
        // paged_attention_tiling.cpp, GetPagedAttentionInfo.
        ...unless(blockSize % 16 === 0, `the block size must be a multiple of 16, found ${blockSize}`),
        ...unless(
          fits(size, blockSize, isEnhanced),
          `head size ${size} with blocks of ${blockSize} is too large; ${largestBlocks(size, isEnhanced)}`,
        ),
        ...(isEnhanced ? parallelProblems(heads.headNum, size, blockSize, inputs[4]?.shape[0] ?? 0) : []),
      ];
    },
    // paged_attention_operation.cpp, KVCacheDimCheck910B.
    extensions: ({ calcType, ...heads }, inputs) =>
      unless(
        calcType !== 'CALC_TYPE_SPEC' || !hasValues(heads) || inputs[2]?.shape.at(-1) === headSize(inputs),
        `CALC_TYPE_SPEC takes values of the size of keys, ${headSize(inputs)}, found ${inputs[2]?.shape.at(-1)}`,
      ),
  },
};

/** Integers, compressed caches and other layouts: their inputs and rules are not those of our graphs. */
const UNKNOWN_FORMS = {
  quantType: 'TYPE_QUANT_UNDEFINED',
  outDataType: 'ACL_DT_UNDEFINED',
  compressType: 'COMPRESS_TYPE_UNDEFINED',
  scaleType: 'SCALE_TYPE_TOR',
  inputLayout: 'TYPE_BSND',
  batchRunStatusEnable: false,
  hasQuantOffset: false,
};

/** Sizes of blocks to choose among, the largest first. */
export const BLOCK_SIZES = [128, 112, 96, 80, 64, 48, 32, 16] as const;

/** What of a cache's block lies in a core's memory: 128 * 128 numbers. */
const BLOCK_LIMIT = 16384;

/** paged_attention_operation.cpp, KVCacheDimCheck910B; paged_attention_tiling.cpp, CheckPagedAttentionNdEnhance. */
function fits(size: number, blockSize: number, several: boolean): boolean {
  if (several) return size <= 256 && blockSize * size <= BLOCK_LIMIT;
  if (size > 256) return size <= 576 && blockSize <= 128;
  if (size === 256 && blockSize >= 128) return blockSize % 128 === 0;
  return blockSize * size <= BLOCK_LIMIT;
}

/** Which blocks heads of a size may have, in words. */
function largestBlocks(size: number, several: boolean): string {
  const largest = BLOCK_SIZES.find((blockSize) => fits(size, blockSize, several));
  return largest === undefined ? 'no blocks are small enough' : `blocks of ${largest} are not`;
}

/** paged_attention_tiling.cpp, GetPaParallelCheck: several tokens of each sequence. */
function parallelProblems(headNum: number, size: number, blockSize: number, batch: number): string[] {
  return [
    ...unless(blockSize <= 128, `CALC_TYPE_SPEC takes blocks of at most 128, found ${blockSize}`),
    ...unless(headNum <= 256, `CALC_TYPE_SPEC takes at most 256 heads, found ${headNum}`),
    ...unless(
      size * headNum <= BLOCK_LIMIT,
      `CALC_TYPE_SPEC takes heads of ${BLOCK_LIMIT} numbers together, found ${headNum} of ${size}`,
    ),
    ...unless(batch <= 2000, `CALC_TYPE_SPEC takes at most 2000 sequences, found ${batch}`),
  ];
}
