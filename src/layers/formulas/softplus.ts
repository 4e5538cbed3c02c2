import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { addNarrowed, addWidened } from './casts.js';
import { addResidual, addScaled } from './residual.js';

/**
 * `out` = ln(1 + e^x) of `input`, elementwise and of its dtype, computed in f32. ATB has no exponential: it is
 * max(x, 0) - ln(sigmoid(|x|)), which no x is too large for. Returns its name.
 */
export function addSoftplus(graph: AtbGraph, input: string, dtype: FloatDType, out: string): string {
  const relu = (of: string, above: string) => {
    const operation = new BaseOperation('Activation', { activationType: 'ACTIVATION_RELU' }, above);
    graph.addOperation(operation, [of], [above]);
    return above;
  };
  const x = addWidened(graph, input, dtype, `${out}_input`);
  const above = relu(x, `${out}_above`);
  const below = relu(addScaled(graph, x, -1, `${out}_negative`), `${out}_below`);
  const size = addResidual(graph, above, below, `${out}_size`);
  const [share, log] = [`${out}_sigmoid`, `${out}_log`];
  graph.addOperation(new BaseOperation('Sigmoid', {}, share), [size], [share]);
  graph.addOperation(
    new BaseOperation('Activation', { activationType: 'ACTIVATION_LOG' }, log),
    [share],
    [log],
  );
  const rest = addScaled(graph, log, -1, `${out}_rest`);
  const sum = addResidual(graph, above, rest, dtype === 'f32' ? out : `${out}_wide`);
  return addNarrowed(graph, sum, dtype, out);
}
