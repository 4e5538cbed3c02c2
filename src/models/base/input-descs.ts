import type { FloatDType } from '../../dtype.js';
import { type GraphKind, hasOneQuery } from '../../graph/graph-kind.js';
import type { TensorDesc } from '../../graph/infer-shapes.js';
import type { KvCacheDesc } from '../../native/binding.js';
import type { CausalLM } from '../../router/index.js';
import { blocksOfPlace, rowsOfBlock } from '../../step-inputs/index.js';
import { weightDesc } from '../../weights/weights.js';

/** The sizes of one step, as one asks for them. */
export interface StepShape {
  /** Sequences. */
  readonly batch: number;
  /**
   * Tokens of the step. Of a graph that takes one token of each sequence against its cache, whose step has as many
   * tokens as sequences: the length of the contexts.
   */
  readonly tokens: number;
  /** Tokens of a block of the KV cache. */
  readonly blockSize: number;
}

/** dtype and shape of all that a model's graph may read, by name, also after passes: what an export declares. */
export function inputDescs(
  model: CausalLM,
  kind: GraphKind,
  dtype: FloatDType,
  { batch, tokens, blockSize }: StepShape,
): Map<string, TensorDesc> {
  const blocks = Math.ceil(tokens / blockSize);
  const sizes = {
    kind,
    dtype,
    batch,
    rows: hasOneQuery(kind) ? batch : tokens,
    headRows: batch,
    contextLen: tokens,
    blocks,
    blockSize,
    maxPositionEmbeddings: model.config.maxPositionEmbeddings,
  };
  const cachesOf = (caches: readonly KvCacheDesc[], count: number) =>
    caches.flatMap(({ key, value, heads, keySize, valueSize, tokensPerRow }) => {
      const rows = rowsOfBlock(blockSize, tokensPerRow);
      const desc = (size: number): TensorDesc => ({ dtype, shape: [count, rows, heads, size] });
      const keys = [key, desc(keySize)] as const;
      return value === undefined ? [keys] : [keys, [value, desc(valueSize)] as const];
    });
  const shown = model.shown?.();
  return new Map<string, TensorDesc>([
    ...model.getWeights().map((weight) => [weight.name, weightDesc(weight, dtype)] as const),
    ...cachesOf(model.caches(), batch * blocks),
    ...(shown ? cachesOf(shown.caches, batch * blocksOfPlace(shown.rows, blockSize)) : []),
    ...(model.states?.() ?? []).map(
      ({ name, size }) => [name, { dtype: 'f32', shape: [batch * blocks, size] }] as const,
    ),
    ...model.stepInputs.flatMap((input) => Object.entries(input.describe(sizes))),
  ]);
}
