import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { RotaryRows } from './rotary-rows.js';

/** Heads of `size` numbers, of which the last `turned` are turned by positions, neighbours together. */
export interface TailedHeads {
  readonly size: number;
  readonly turned: number;
}

/** The order of rows of heads that puts the first of each pair of neighbours before all the second ones. */
export function tailOrder(heads: number, { size, turned }: TailedHeads): Int32Array {
  const still = size - turned;
  return Int32Array.from({ length: heads * size }, (_, row) => {
    const [at, half] = [(row % size) - still, turned / 2];
    return at < 0 ? row : row - at + 2 * (at % half) + Math.floor(at / half);
  });
}

/**
 * Turns the tails of heads: each of `inputs` [tokens, heads, size], one or two of them, with rows of tables
 * [tokens, turned] -> the same shapes, `<input>_turned`, whose names are returned.
 */
export function addTurnedTails(
  graph: AtbGraph,
  inputs: readonly (readonly [name: string, heads: number])[],
  { size, turned }: TailedHeads,
  { cos, sin }: RotaryRows,
): string[] {
  for (const [name, heads] of inputs) {
    addBox(graph, name, size - turned, turned, `${name}_tails`);
    graph.addReshape(`${name}_tails`, `${name}_flat_tails`, [dim(0), heads * turned]);
  }
  // Rope turns two tensors: of a single one its second result is read by nobody.
  const [first = '', second = first] = inputs.map(([name]) => name);
  const results = second === first ? ['', '_again'] : ['', ''];
  CommonOpBuilderManager.getBuilder({
    category: 'ROPE',
    opName: `${first}_rope`,
    rotaryCoeff: 2,
  }).build(graph, {
    q: `${first}_flat_tails`,
    k: `${second}_flat_tails`,
    cosEmbedding: cos,
    sinEmbedding: sin,
    seqLen: 'seq_len',
    qOut: `${first}_flat_turned${results[0]}`,
    kOut: `${second}_flat_turned${results[1]}`,
  });
  return inputs.map(([name, heads]) => {
    addBox(graph, name, 0, size - turned, `${name}_still`);
    graph.addReshape(`${name}_flat_turned`, `${name}_turned_tails`, [dim(0), heads, turned]);
    const concat = new BaseOperation('Concat', { concatDim: 2 }, `${name}_join`);
    graph.addOperation(concat, [`${name}_still`, `${name}_turned_tails`], [`${name}_turned`]);
    return `${name}_turned`;
  });
}

/** Tails of `input` [tokens, heads, size] in the checkpoint's order again: `<input>_ordered`, whose name is returned. */
export function addOrderedTails(
  graph: AtbGraph,
  input: string,
  heads: number,
  { size, turned }: TailedHeads,
): string {
  addBox(graph, input, 0, size - turned, `${input}_first`);
  addBox(graph, input, size - turned, turned, `${input}_last`);
  graph.addReshape(`${input}_last`, `${input}_halves`, [dim(0), heads, 2, turned / 2]);
  const swap = new BaseOperation('Transpose', { perm: [0, 1, 3, 2] }, `${input}_swap`);
  graph.addOperation(swap, [`${input}_halves`], [`${input}_pairs`]);
  graph.addReshape(`${input}_pairs`, `${input}_tails_ordered`, [dim(0), heads, turned]);
  const concat = new BaseOperation('Concat', { concatDim: 2 }, `${input}_join_ordered`);
  graph.addOperation(concat, [`${input}_first`, `${input}_tails_ordered`], [`${input}_ordered`]);
  return `${input}_ordered`;
}

/** Numbers [from, from + count) of each head. */
function addBox(graph: AtbGraph, input: string, from: number, count: number, out: string): void {
  const box = { offsets: [0, 0, from], size: [-1, -1, count] };
  graph.addOperation(new BaseOperation('Slice', box, `${out}_slice`), [input], [out]);
}
