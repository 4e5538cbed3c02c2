import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { addPair, addScaled } from './residual.js';

/**
 * Adds `out` = 1 / sqrt(x) of f32, as e^(-ln(x) / 2). ATB has neither root nor exponential: e^y is sigmoid(y) /
 * sigmoid(-y). `name` stands before what it needs. Returns `out`.
 */
export function addInverseRoot(graph: AtbGraph, x: string, name: string, out: string): string {
  const log = `${name}_log`;
  graph.addOperation(new BaseOperation('Activation', { activationType: 'ACTIVATION_LOG' }, log), [x], [log]);
  const [above, below] = [-0.5, 0.5].map((share, index) => {
    const scaled = addScaled(graph, log, share, `${name}_power_${index}`);
    const sigmoid = `${name}_sigmoid_${index}`;
    graph.addOperation(new BaseOperation('Sigmoid', {}, sigmoid), [scaled], [sigmoid]);
    return sigmoid;
  }) as [string, string];
  return addPair(graph, 'ELEWISE_REALDIV', above, below, out);
}
