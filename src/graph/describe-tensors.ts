import { AtbError } from '../errors.js';
import type { GraphSpec } from './graph-spec.js';
import { inferShapes, type TensorDesc, viewShape } from './infer-shapes.js';

/** A graph where it is first placed with such inputs, and the descriptions of its tensors and views by their names in it. */
export interface DescribedGraph {
  readonly spec: GraphSpec;
  readonly tensors: ReadonlyMap<string, TensorDesc>;
}

/**
 * Every distinct graph with the dtypes and shapes of its tensors, inner graphs before those that place them. A graph that
 * is placed with other inputs is another one. Throws GRAPH_INPUT_MISSING, GRAPH_SHAPE_MISMATCH, GRAPH_VIEW_INVALID.
 */
export function describedGraphs(
  spec: GraphSpec,
  inputs: ReadonlyMap<string, TensorDesc>,
): readonly DescribedGraph[] {
  const missing = spec.inputs.filter((name) => !inputs.has(name));
  if (missing.length > 0) throw new AtbError('GRAPH_INPUT_MISSING', { graph: spec.name, tensors: missing });
  const found = new Map<string, DescribedGraph>();
  const ids = new Map<GraphSpec, number>();
  const visit = (graph: GraphSpec, given: readonly TensorDesc[]): DescribedGraph => {
    const id = ids.get(graph) ?? ids.size;
    ids.set(graph, id);
    const key = `${id} ${JSON.stringify(given)}`;
    const known = found.get(key);
    if (known) return known;
    const described = { spec: graph, tensors: describe(graph, given, visit) };
    found.set(key, described);
    return described;
  };
  visit(
    spec,
    spec.inputs.map((name) => inputs.get(name) as TensorDesc),
  );
  return [...found.values()];
}

function describe(
  graph: GraphSpec,
  given: readonly TensorDesc[],
  visit: (graph: GraphSpec, given: readonly TensorDesc[]) => DescribedGraph,
): Map<string, TensorDesc> {
  const tensors = new Map(graph.inputs.map((name, index) => [name, given[index] as TensorDesc]));
  const resolve = (name: string): TensorDesc => {
    const known = tensors.get(name);
    if (known) return known;
    const view = graph.views[name];
    if (!view) throw new AtbError('GRAPH_UNDEFINED_TENSOR', { graph: graph.name, op: 'view', tensor: name });
    const source = resolve(view.source);
    const shape = viewShape(source.shape, view.shape, { graph: graph.name, view: name });
    const desc = { dtype: source.dtype, shape };
    tensors.set(name, desc);
    return desc;
  };
  for (const { name, op, inputs, outputs } of graph.nodes) {
    const args = inputs.map(resolve);
    let made: readonly TensorDesc[];
    if ('graph' in op) {
      const inner = visit(op.graph, args).tensors;
      made = op.graph.outputs.map((output) => inner.get(output) as TensorDesc);
    } else {
      made = inferShapes(op.type, op.param, args, { graph: graph.name, op: name });
    }
    // What is written in place keeps its shape.
    outputs.forEach((output, index) => {
      if (!tensors.has(output)) tensors.set(output, made[index] as TensorDesc);
    });
  }
  for (const output of graph.outputs) resolve(output);
  return tensors;
}
