import { OBJECT, requireArgument, whole, wholes } from '../require-argument.js';

/** Which rows of a checkpoint's tensor are one of the projections packed in it. */
export type PackedRows =
  /** As many rows as the projection has, from row `from` on. */
  | { readonly of: number; readonly from: number }
  /** Row i of the projection is row order[i] of the tensor. */
  | { readonly of: number; readonly order: Int32Array };

/**
 * The rows of projections that lie one below the other in one tensor: of q|k|v (Phi-3's qkv_proj, chatglm's
 * query_key_value) or gate|up (gate_up_proj), by how many rows each has.
 */
export function consecutiveRows(sizes: readonly number[]): PackedRows[] {
  requireArgument('consecutiveRows', 'the sizes', wholes(1), sizes);
  const of = sizes.reduce((sum, size) => sum + size, 0);
  let from = 0;
  return sizes.map((size) => {
    const rows = { of, from };
    from += size;
    return rows;
  });
}

/** A tensor [groups, sum of headsPerGroup, headDim] of packed projections. */
export interface GroupedHeads {
  readonly groups: number;
  /** Heads that each projection has in a group, in their order. */
  readonly headsPerGroup: readonly number[];
  readonly headDim: number;
}

/**
 * The rows of projections whose heads alternate in one tensor. Queries, key and value of each key head in turn
 * (internlm2, falcon): `{groups: kvHeads, headsPerGroup: [heads / kvHeads, 1, 1], headDim}`; of each head (gpt_neox,
 * bloom): `{groups: heads, headsPerGroup: [1, 1, 1], headDim}`; telechat's keys and values: `[1, 1]`. The heads of a
 * projection keep their order.
 */
export function groupedRows(heads: GroupedHeads): PackedRows[] {
  requireArgument('groupedRows', '{ groups, headsPerGroup, headDim }', OBJECT, heads);
  const { groups, headsPerGroup, headDim } = heads;
  requireArgument('groupedRows', 'groups', whole(1), groups);
  requireArgument('groupedRows', 'headsPerGroup', wholes(1), headsPerGroup);
  requireArgument('groupedRows', 'headDim', whole(1), headDim);
  return rowsInGroups(
    groups,
    headsPerGroup.map((count) => count * headDim),
  );
}

/** The rows of projections of which each group of a tensor has some in turn: `sizes` of them in each of the groups. */
export function rowsInGroups(groups: number, sizes: readonly number[]): PackedRows[] {
  const groupRows = sizes.reduce((sum, size) => sum + size, 0);
  let next = 0;
  return sizes.map((size) => {
    const first = next;
    next += size;
    const order = Int32Array.from({ length: groups * size }, (_, row) => {
      return Math.floor(row / size) * groupRows + first + (row % size);
    });
    return { of: groups * groupRows, order };
  });
}

/** The rows of one of two projections whose rows lie in turn, as gpt-oss's gate (0) and up (1): `count` of them. */
export const rowsInTurn = (turn: 0 | 1, count: number): Int32Array =>
  Int32Array.from({ length: count }, (_, row) => 2 * row + turn);
