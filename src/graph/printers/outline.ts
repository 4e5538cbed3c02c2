import type { GraphSpec, NodeSpec, ViewDim } from '../graph-spec.js';

/** One line of a listing, one box of a drawing: an operation, or neighbouring placements of one sub-graph. */
export interface NodeGroup {
  readonly first: NodeSpec;
  readonly last: NodeSpec;
  readonly count: number;
}

/** Neighbours that place the same sub-graph become one group; every other node is alone. */
export function groupNodes(spec: GraphSpec): NodeGroup[] {
  const groups: NodeGroup[] = [];
  for (const node of spec.nodes) {
    const group = groups.at(-1);
    const same =
      group && 'graph' in group.last.op && 'graph' in node.op && group.last.op.graph === node.op.graph;
    if (group && same) groups[groups.length - 1] = { ...group, last: node, count: group.count + 1 };
    else groups.push({ first: node, last: node, count: 1 });
  }
  return groups;
}

/** `[#0, 4, 16]`: axis 0 of the source, then 4, then 16; `#1·#2` are two axes merged. */
export function viewText(shape: readonly ViewDim[]): string {
  const dims = shape.map((dim) =>
    typeof dim === 'number' ? `${dim}` : dim.axes.map((axis) => `#${axis}`).join('·'),
  );
  return `[${dims.join(', ')}]`;
}

/** An input as an operation sees it: `q_rope[#0, 4, 16]` for a view. */
export function operandText(spec: GraphSpec, name: string): string {
  const view = spec.views[name];
  return view ? `${operandText(spec, view.source)}${viewText(view.shape)}` : name;
}

/** `epsilon: 1e-6, quantType: QUANT_UNDEFINED`: nested blocks are flattened, numbers shortened. */
export function paramEntries(param: object): string[] {
  return Object.entries(param).flatMap(([key, value]) => {
    if (Array.isArray(value)) return [`${key}: [${value.join(', ')}]`];
    if (typeof value === 'object' && value !== null) return paramEntries(value);
    return [`${key}: ${typeof value === 'number' ? numberText(value) : value}`];
  });
}

function numberText(value: number): string {
  if (Number.isInteger(value)) return `${value}`;
  return Math.abs(value) < 1e-3
    ? value.toExponential().replace('e-0', 'e-')
    : `${Number(value.toPrecision(6))}`;
}
