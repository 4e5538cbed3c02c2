import {
  GraphInterner,
  type GraphSpec,
  type NodeSpec,
  readNames,
  viewRoot,
  withoutUnread,
} from './graph-spec.js';

/**
 * The same graph as MindIE can run it, which runs the nodes of an outer graph one by one. What it cannot run so is placed in
 * a sub-graph with as many of the nodes that follow as it takes: DynamicQuant with the product that reads its rows and
 * scales. A node that no sub-graph helps stays, for the legality check to name.
 */
export function asOuterGraph(spec: GraphSpec): GraphSpec {
  const nodes: NodeSpec[] = [];
  for (let at = 0; at < spec.nodes.length; ) {
    const { node, count } = runnableFrom(spec, at);
    nodes.push(node);
    at += count;
  }
  if (nodes.every((node, index) => node === spec.nodes[index])) return spec;
  return new GraphInterner().intern(withoutUnread({ ...spec, nodes }));
}

/** ExecuteSingleNode, of MindIE's graph_operation.cpp, reshapes the tensor itself, which others read, too. */
export const viewsRead = ({ inputs }: NodeSpec, { views }: Pick<GraphSpec, 'views'>): string[] =>
  inputs.filter((name) => name in views);

/** BuildSingleNodeVariantPack, there, indexes the inputs by the outputs. */
export const writesMoreThanItReads = ({ inputs, outputs }: Pick<NodeSpec, 'inputs' | 'outputs'>): boolean =>
  outputs.length > inputs.length;

/** The node at a place, or the sub-graph that begins with it, and how many of the graph's nodes that is. */
function runnableFrom(spec: GraphSpec, at: number): { readonly node: NodeSpec; readonly count: number } {
  const alone = spec.nodes[at] as NodeSpec;
  if (viewsRead(alone, spec).length === 0 && !writesMoreThanItReads(alone)) return { node: alone, count: 1 };
  for (let end = at + 1; end <= spec.nodes.length; end++) {
    const graph = subGraph(spec, at, end);
    if (writesMoreThanItReads(graph)) continue;
    const { name } = spec.nodes[end - 1] as NodeSpec;
    return {
      node: { name, op: { graph }, inputs: graph.inputs, outputs: graph.outputs },
      count: end - at,
    };
  }
  return { node: alone, count: 1 };
}

/** Neighbouring nodes as a graph that gives out what the others, or the caller, read of theirs. */
function subGraph(spec: GraphSpec, at: number, end: number): GraphSpec {
  const { views } = spec;
  const nodes = spec.nodes.slice(at, end);
  const inputs = new Set<string>();
  const made = new Set<string>();
  for (const node of nodes) {
    const read = node.inputs.map((name) => viewRoot(views, name));
    for (const name of read) if (!made.has(name)) inputs.add(name);
    for (const name of node.outputs) if (!inputs.has(name)) made.add(name);
  }
  const others = spec.nodes.filter((_, index) => index < at || index >= end);
  const asked = readNames({ ...spec, nodes: others });
  return withoutUnread({
    name: `${nodes.at(-1)?.name}_graph`,
    inputs: [...inputs],
    outputs: [...made].filter((name) => asked.has(name)),
    views,
    nodes,
  });
}
