import { AtbError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { type GraphSpec, viewChain } from './graph-spec.js';
import { inPlaceOutputs } from './ops/index.js';

/**
 * Checks a graph's names: each tensor is written once and before it is read, every input and view is read, nodes have
 * names of their own, and in-place outputs are the inputs that they overwrite. Sub-graphs were checked when built.
 * `offered` are inputs that the graph could have had: a misspelt name may be meant to be one of them.
 */
export function validateGraph(spec: GraphSpec, offered: readonly string[] = []): void {
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
    const root = chain.at(-1) ?? tensor;
    if (defined.has(root)) return;
    // Views that go in a circle have no root: what the operation reads is then the name to show.
    const missing = root in spec.views ? tensor : root;
    const known = [...defined, ...offered, ...Object.keys(spec.views)].filter(
      (name) => !chain.includes(name),
    );
    const detail = { graph, op, tensor: missing, nearest: nearestName(missing, known) };
    throw new AtbError('GRAPH_UNDEFINED_TENSOR', missing === tensor ? detail : { ...detail, view: tensor });
  };
  const names = new Set<string>();
  for (const tensor of spec.inputs) define('input', tensor);
  for (const { name, op, inputs, outputs } of spec.nodes) {
    if (names.has(name)) throw new AtbError('GRAPH_DUPLICATE_NODE', { graph, node: name });
    names.add(name);
    for (const tensor of inputs) use(name, tensor);
    const inPlace = 'type' in op ? inPlaceOutputs(op) : {};
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
