import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { Linear } from '../../weights/linear.js';
import type { AttentionConfig } from '../attention-config.js';
import { buildLinear } from './linear-steps.js';

/** Columns [from, from + count) of `input` [tokens, columns] as `out`; a count of -1 reaches the end. Returns `out`. */
export function addColumns(graph: AtbGraph, input: string, from: number, count: number, out: string): string {
  const box = { offsets: [0, from], size: [-1, count] };
  graph.addOperation(new BaseOperation('Slice', box, `${out}_slice`), [input], [out]);
  return out;
}

/** `out` = sigmoid(`gate`), number by number. */
export function addSigmoid(graph: AtbGraph, gate: string, out = 'gate_sigmoid'): string {
  const sigmoid = new BaseOperation('Activation', { activationType: 'ACTIVATION_SIGMOID' }, out);
  graph.addOperation(sigmoid, [gate], [out]);
  return out;
}

/** `gated` = `input` times `gate`, number by number. */
export function addGated(graph: AtbGraph, input: string, gate: string, gated = 'gated'): string {
  const name = gated === 'gated' ? 'gate_mul' : `${gated}_mul`;
  const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, name);
  graph.addOperation(multiply, [input, gate], [gated]);
  return gated;
}

/** `gated` = `input` [tokens, heads * headDim] times a number for each head, `gate` [tokens, heads]. */
export function addGatedHeads(
  graph: AtbGraph,
  input: string,
  gate: string,
  { numAttentionHeads: heads, headDim }: Pick<AttentionConfig, 'numAttentionHeads' | 'headDim'>,
): string {
  graph.addReshape(gate, 'gate_heads', [dim(0), heads, 1]);
  graph.addReshape(input, 'attn_heads', [dim(0), heads, headDim]);
  graph.addReshape(addGated(graph, 'attn_heads', 'gate_heads', 'gated_heads'), 'gated', [dim(0), dim(1, 2)]);
  return 'gated';
}

/** `z_gated` = `input` times silu(z), number by number. */
export function addGate(graph: AtbGraph, input: string, z: string): string {
  CommonOpBuilderManager.getBuilder({
    category: 'ACTIVATION',
    opName: 'z_activation',
    ...{ kind: 'silu', isGated: false, isPack: false },
  }).build(graph, { input: z, actOut: 'z_act' });
  const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'z_mul');
  graph.addOperation(multiply, [input, 'z_act'], ['z_gated']);
  return 'z_gated';
}

/** The projections of a narrow MLP, which makes gates of what they gate. */
export interface NarrowMLP {
  readonly down: Linear;
  readonly up: Linear;
}

/** up(silu(down(`input`))), by names that begin with `name`. Returns its name. */
export function addNarrowMLP(graph: AtbGraph, name: string, { down, up }: NarrowMLP, input: string): string {
  CommonOpBuilderManager.getBuilder({
    category: 'ACTIVATION',
    opName: `${name}_activation`,
    ...{ kind: 'silu', isGated: false, isPack: false },
  }).build(graph, { input: buildLinear(graph, down, input, `${name}_down_out`), actOut: `${name}_act` });
  return buildLinear(graph, up, `${name}_act`, `${name}_up_out`);
}
