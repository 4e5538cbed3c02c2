import { CommonOpBuilderManager } from '../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';

/** Columns [from, from + count) of `input` [tokens, columns] as `out`; a count of -1 reaches the end. Returns `out`. */
export function addColumns(graph: AtbGraph, input: string, from: number, count: number, out: string): string {
  const box = { offsets: [0, from], size: [-1, count] };
  graph.addOperation(new BaseOperation('Slice', box, `${out}_slice`), [input], [out]);
  return out;
}

/** `gated` = `input` times the sigmoids of `gate`, number by number. */
export function addSigmoidGate(graph: AtbGraph, input: string, gate: string): string {
  const sigmoid = new BaseOperation('Activation', { activationType: 'ACTIVATION_SIGMOID' }, 'gate_sigmoid');
  graph.addOperation(sigmoid, [gate], ['gate_sigmoid']);
  const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, 'gate_mul');
  graph.addOperation(multiply, [input, 'gate_sigmoid'], ['gated']);
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
