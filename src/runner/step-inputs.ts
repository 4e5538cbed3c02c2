import type { Tensor } from '../dtype.js';
import type { Batch } from '../scheduler/scheduler.js';

/** The integer inputs of one step, by the names that the graphs give them. */
export interface StepTensors {
  readonly input_ids: Tensor<'i64'>;
  readonly position_ids: Tensor<'i64'>;
  readonly slots_mapping: Tensor<'i32'>;
  /** Tokens of each sequence that its queries may see: [batch]. */
  readonly seq_len: Tensor<'i32'>;
  /** Tokens of each sequence in this step: [batch]. */
  readonly q_len: Tensor<'i32'>;
  /** [batch, blocks], padded with 0. */
  readonly block_tables: Tensor<'i32'>;
  /** Each sequence's last token in this step: [batch]. */
  readonly lm_head_indices: Tensor<'i64'>;
}

/** The low words of little-endian 64-bit integers: ids and positions are small, BigInt arithmetic is slow. */
export function int64(values: Int32Array): Tensor<'i64'> {
  const words = new Int32Array(values.length * 2);
  for (let i = 0; i < values.length; i++) words[2 * i] = values[i] as number;
  return { dtype: 'i64', shape: [values.length], data: new BigInt64Array(words.buffer) };
}

export const int32 = (data: Int32Array, shape = [data.length]): Tensor<'i32'> => ({
  dtype: 'i32',
  shape,
  data,
});

/** The next power of two: block tables that grow by a block keep their shape. */
const roundUp = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

/** What a batch's graph reads: packed tokens, no padding. `positions` are also returned plainly, for position tables. */
export function stepTensors(
  { entries }: Batch,
  blockSize: number,
): StepTensors & { readonly positions: Int32Array } {
  const batch = entries.length;
  const total = entries.reduce((sum, { count }) => sum + count, 0);
  const width = roundUp(
    Math.max(...entries.map(({ start, count }) => Math.ceil((start + count) / blockSize))),
  );
  const ids = new Int32Array(total);
  const positions = new Int32Array(total);
  const slots = new Int32Array(total);
  const seqLen = new Int32Array(batch);
  const qLen = new Int32Array(batch);
  const lastTokens = new Int32Array(batch);
  const blockTables = new Int32Array(batch * width);
  let at = 0;
  for (const [row, { sequence, start, count }] of entries.entries()) {
    const { tokens, blockTable } = sequence;
    for (let position = start; position < start + count; position++, at++) {
      ids[at] = tokens[position] as number;
      positions[at] = position;
      slots[at] =
        (blockTable.blocks[Math.floor(position / blockSize)] as number) * blockSize + (position % blockSize);
    }
    seqLen[row] = start + count;
    qLen[row] = count;
    lastTokens[row] = at - 1;
    blockTables.set(blockTable.blocks.slice(0, Math.ceil((start + count) / blockSize)), row * width);
  }
  return {
    input_ids: int64(ids),
    position_ids: int64(positions),
    slots_mapping: int32(slots),
    seq_len: int32(seqLen),
    q_len: int32(qLen),
    block_tables: int32(blockTables, [batch, width]),
    lm_head_indices: int64(lastTokens),
    positions,
  };
}
