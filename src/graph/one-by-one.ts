import type { Tensor } from '../dtype.js';
import type { GraphExecutor } from './graph-executor.js';
import { type GraphSpec, viewChain, viewRoot } from './graph-spec.js';
import { viewShape } from './infer-shapes.js';

/**
 * Runs the nodes of a graph one after another, each as a graph of its own, with the same results. So do MindIE's graphs
 * whose `execute_as_single` is false (its graph_operation.cpp, ExecuteSingleNode). What throws names its node, and a tensor
 * is let go after the last node that reads it; nothing is planned or fused across nodes.
 */
export const oneByOne = (executor: GraphExecutor): GraphExecutor => ({
  async forward(spec, inputs, intermediates) {
    const { name, nodes, outputs, views } = spec;
    const known = new Map(Object.entries(inputs));
    const inner: Record<string, Tensor> = {};
    const asked = [...outputs, ...intermediates];
    const readers = new Map(
      nodes.flatMap((node, index) => node.inputs.map((input) => [viewRoot(views, input), index] as const)),
    );
    for (const tensor of asked) readers.set(viewRoot(views, tensor), nodes.length);
    for (const [index, node] of nodes.entries()) {
      const read = [...new Set(node.inputs)];
      const result = await executor.forward(
        { name, inputs: read, outputs: node.outputs, views: {}, nodes: [node] },
        pick(read, (input) => shown(spec, known, input)),
        intermediates.filter((tensor) => tensor.startsWith(`${node.name}/`)),
      );
      Object.assign(inner, result.intermediates);
      for (const [tensor, value] of Object.entries(result.outputs)) known.set(tensor, value);
      for (const tensor of known.keys()) if ((readers.get(tensor) ?? -1) <= index) known.delete(tensor);
    }
    const find = (tensor: string) => inner[tensor] ?? shown(spec, known, tensor);
    return { outputs: pick(outputs, find), intermediates: pick(intermediates, find) };
  },
});

const pick = (names: readonly string[], find: (name: string) => Tensor): Record<string, Tensor> =>
  Object.fromEntries(names.map((name) => [name, find(name)]));

/** A tensor, or what a view shows of one. A validated graph names no other. */
function shown({ name: graph, views }: GraphSpec, known: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const [root = name, ...chain] = viewChain(views, name).reverse();
  const tensor = known.get(root) as Tensor;
  let { shape } = tensor;
  for (const view of chain) shape = viewShape(shape, views[view]?.shape ?? [], { graph, view });
  return { ...tensor, shape };
}
