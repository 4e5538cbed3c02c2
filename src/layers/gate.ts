import { CommonOpBuilderManager } from '../common-op-builders/index.js';
import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';

/** Columns [from, from + count) of `input` [tokens, columns] as `out`; a count of -1 reaches the end. Returns `out`. */
export function addColumns(graph: AtbGraph, input: string, from: number, count: number, out: string): string {
  const box = { offsets: [0, from], size: [-1, count] };
  graph.addOperation(new BaseOperation('Slice', box, `${out}_slice`), [input], [out]);
  return out;
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
