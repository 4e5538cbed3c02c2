import { activation } from './activation.js';
import { blockAttention } from './block-attention.js';
import { cast } from './cast.js';
import { causalConv1d } from './causal-conv1d.js';
import { allGather, allReduce } from './collectives.js';
import { compressedAttention } from './compressed-attention.js';
import { concat } from './concat.js';
import { cumsum } from './cumsum.js';
import { depthwiseConv } from './depthwise-conv.js';
import { dynamicQuant } from './dynamic-quant.js';
import { elewise } from './elewise.js';
import { fill } from './fill.js';
import { fusedExperts } from './fused-experts.js';
import { fusedLinear } from './fused-linear.js';
import { fusedMultiply } from './fused-multiply.js';
import { gatedDeltaRule } from './gated-delta-rule.js';
import { gather } from './gather.js';
import { gatherDequant } from './gather-dequant.js';
import { groupTopk } from './group-topk.js';
import { groupedMatmul } from './grouped-matmul.js';
import { hyperWeights } from './hyper-weights.js';
import { layerNorm } from './layer-norm.js';
import { lightningIndexer } from './lightning-indexer.js';
import { linear } from './linear.js';
import { linearParallel } from './linear-parallel.js';
import { mixStreams } from './mix-streams.js';
import { moeInitRouting } from './moe-init-routing.js';
import { moeTokenUnpermute } from './moe-token-unpermute.js';
import { pagedAttention } from './paged-attention.js';
import { qkvRopeCache } from './qkv-rope-cache.js';
import { realGatedLru } from './real-gated-lru.js';
import { reduce } from './reduce.js';
import { repeat } from './repeat.js';
import { reshapeAndCache } from './reshape-and-cache.js';
import { rmsNorm } from './rms-norm.js';
import { rope } from './rope.js';
import { selectiveScan } from './selective-scan.js';
import { selfAttention } from './self-attention.js';
import { setValue } from './set-value.js';
import { sigmoid } from './sigmoid.js';
import { slice } from './slice.js';
import { softmax } from './softmax.js';
import { sort } from './sort.js';
import { sparseAttention } from './sparse-attention.js';
import { split } from './split.js';
import { transpose } from './transpose.js';
import { vectorNorm } from './vector-norm.js';
import { w8a8MatMul } from './w8a8-matmul.js';
import { w4a16MatMul, w8a16MatMul } from './weight-quant-matmul.js';
import { where } from './where.js';
import { windowPool } from './window-pool.js';

/** Operations of ATB, by ATB's names. */
export const ATB_OPS = [
  activation,
  allGather,
  allReduce,
  cast,
  concat,
  cumsum,
  dynamicQuant,
  elewise,
  fill,
  gather,
  groupTopk,
  groupedMatmul,
  layerNorm,
  linear,
  linearParallel,
  moeInitRouting,
  moeTokenUnpermute,
  pagedAttention,
  reduce,
  repeat,
  reshapeAndCache,
  rmsNorm,
  rope,
  selfAttention,
  setValue,
  sigmoid,
  slice,
  softmax,
  sort,
  split,
  transpose,
  vectorNorm,
  w4a16MatMul,
  w8a16MatMul,
  w8a8MatMul,
  where,
] as const;

/**
 * What our graphs can say and ATB cannot; the legality check refuses them. Engine passes introduce some, so that a graph for
 * export does not hold them. Those with a recurrent state, of sparse attention, of streams and of convolutions are the only
 * ones that models use themselves. Two other extensions are the `keys` of ATB's operations, of which models use `softcap`,
 * `hasSinks`, `limit`, `gateScale` and `clampForm`, and fp32 activations.
 */
export const EXTENSION_OPS = [
  blockAttention,
  causalConv1d,
  compressedAttention,
  depthwiseConv,
  fusedExperts,
  fusedLinear,
  fusedMultiply,
  gatedDeltaRule,
  gatherDequant,
  hyperWeights,
  lightningIndexer,
  mixStreams,
  qkvRopeCache,
  realGatedLru,
  selectiveScan,
  sparseAttention,
  windowPool,
] as const;
