import { AtbError } from '../errors.js';
import { type GraphSpec, viewChain } from './graph-spec.js';
import { inPlaceOutputs } from './op-params.js';

/**
 * Checks a graph's names: each tensor is written once and before it is read, every input and view is read, nodes have
 * names of their own, and in-place outputs are the inputs that they overwrite. Sub-graphs were checked when built.
 */
export function validateGraph(spec: GraphSpec): void {
  const graph = spec.name;
  const defined = new Set<string>();
  const define = (op: string, tensor: string): void => {
    if (tensor === '') throw new AtbError('GRAPH_UNDEFINED_TENSOR', { graph, op, tensor });
    if (defined.has(tensor) || tensor in spec.views) {
      throw new AtbError('GRAPH_TENSOR_REDEFINED', { graph, op, tensor });
    }
    defined.add(tensor);
  };
  const read = new Set<string>();
  const use = (op: string, tensor: string): void => {
    const chain = viewChain(spec.views, tensor);
    for (const name of chain) read.add(name);
    if (!defined.has(chain.at(-1) ?? tensor)) {
      throw new AtbError('GRAPH_UNDEFINED_TENSOR', { graph, op, tensor });
    }
  };
  const names = new Set<string>();
  for (const tensor of spec.inputs) define('input', tensor);
  for (const { name, op, inputs, outputs } of spec.nodes) {
    if (names.has(name)) throw new AtbError('GRAPH_DUPLICATE_NODE', { graph, node: name });
    names.add(name);
    for (const tensor of inputs) use(name, tensor);
    const inPlace = 'type' in op ? inPlaceOutputs(op.type) : {};
    for (const [index, tensor] of outputs.entries()) {
      const source = inPlace[index];
      const expected = source === undefined ? undefined : inputs[source];
      if (expected === undefined) define(name, tensor);
      else if (tensor !== expected) {
        throw new AtbError('GRAPH_NOT_IN_PLACE', { graph, op: name, expected, found: tensor });
      }
    }
  }
  for (const tensor of spec.outputs) use('output', tensor);
  for (const view of Object.keys(spec.views)) {
    if (!read.has(view)) throw new AtbError('GRAPH_VIEW_INVALID', { graph, view, reason: 'is never read' });
  }
  const unused = spec.inputs.filter((tensor) => !read.has(tensor));
  if (unused.length > 0) throw new AtbError('GRAPH_UNUSED_INPUT', { graph, tensors: unused });
}
