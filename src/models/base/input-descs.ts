import type { Phase } from '../../common-op-builders/index.js';
import type { FloatDType } from '../../dtype.js';
import type { TensorDesc } from '../../graph/infer-shapes.js';
import type { CausalLM } from '../../router/index.js';
import { weightDesc } from '../../weights/weights.js';
import { SLIDING_MASK } from './layer-inputs.js';

/** The sizes of one step. */
export interface StepSizes {
  /** Sequences. */
  readonly batch: number;
  /** Tokens of the step in prefill and split-fuse. In decode, where each sequence brings one: length of the contexts. */
  readonly tokens: number;
  /** Tokens of a block of the KV cache. */
  readonly blockSize: number;
}

/**
 * dtype and shape of all that a model's graph may read, by name, also after passes: what an export declares and a runner
 * provides.
 */
export function inputDescs(
  model: CausalLM,
  phase: Phase,
  dtype: FloatDType,
  { batch, tokens, blockSize }: StepSizes,
): Map<string, TensorDesc> {
  const { config } = model;
  const rows = phase === 'decode' ? batch : tokens;
  const blocks = Math.ceil(tokens / blockSize);
  const int32 = (...shape: number[]): TensorDesc => ({ dtype: 'i32', shape });
  const int64 = (...shape: number[]): TensorDesc => ({ dtype: 'i64', shape });
  const float = (...shape: number[]): TensorDesc => ({ dtype, shape });
  const table = float(config.maxPositionEmbeddings, config.headDim);
  const steps: Readonly<Record<string, TensorDesc>> = {
    input_ids: int64(rows),
    position_ids: int64(rows),
    cos_table: table,
    sin_table: table,
    slots_mapping: int32(rows),
    seq_len: int32(batch),
    block_tables: int32(batch, blocks),
    q_len: int32(batch),
    attention_mask: phase === 'prefill' ? float(128, 128) : float(tokens, tokens),
    [SLIDING_MASK]: phase === 'decode' ? float(batch, 1, tokens) : float(tokens, tokens),
    lm_head_indices: int64(batch),
  };
  const cache = float(batch * blocks, blockSize, config.numKeyValueHeads, config.headDim);
  return new Map<string, TensorDesc>([
    ...model.getWeights().map((weight) => [weight.name, weightDesc(weight, dtype)] as const),
    ...model.cacheNames().map((name) => [name, cache] as const),
    ...Object.entries(steps),
  ]);
}
