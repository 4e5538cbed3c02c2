import { distinctGraphs, type GraphSpec, type NodeSpec } from '../graph-spec.js';
import { groupNodes, operandText, paramEntries } from './outline.js';

const WIDTH = 110;

/**
 * A graph for reading in a review: each distinct graph once, outer first; one line for each operation,
 * `out = Op(in, …) {param}`. `q[#0, 4, 16]` is a view: axis 0 of q, then 4, then 16. Equal layers share two lines.
 */
export function printText(spec: GraphSpec): string {
  return distinctGraphs(spec).map(printGraph).join('\n');
}

function printGraph(spec: GraphSpec): string {
  const lines = [
    `graph ${spec.name}`,
    ...wrap('in', numberedOnce(spec.inputs)),
    ...wrap('out', spec.outputs),
  ];
  for (const { first, last, count } of groupNodes(spec)) {
    lines.push(`  ${printNode(spec, first)}`);
    if (count > 1) lines.push(`  ${last.outputs.join(', ')} = … likewise to ${last.name}, ${count} in all`);
  }
  for (const name of spec.outputs)
    if (name in spec.views) lines.push(`  ${name} = ${operandText(spec, name)}`);
  return `${lines.join('\n')}\n`;
}

function printNode(spec: GraphSpec, node: NodeSpec): string {
  const outputs = node.outputs.join(', ');
  if ('graph' in node.op) {
    return `${outputs} = ${node.op.graph.name}(${bindings(node, node.op.graph).join(', ')})  # ${node.name}`;
  }
  const inputs = node.inputs.map((name) => operandText(spec, name)).join(', ');
  const param = paramEntries(node.op.param).join(', ');
  const hint = node.hint ? `  # ${paramEntries(node.hint).join(', ')}` : '';
  return `${outputs} = ${node.op.type}(${inputs})${param && ` {${param}}`}${hint}`;
}

/** What a sub-graph's inputs are: `model.layers.0.*` for all that only gain a prefix, `inner: outer` for other names. */
function bindings(node: NodeSpec, graph: GraphSpec): string[] {
  const bound = graph.inputs.map((inner, index) => {
    const outer = node.inputs[index] ?? '';
    if (outer === inner) return inner;
    return outer.endsWith(`.${inner}`) ? `${outer.slice(0, -inner.length)}*` : `${inner}: ${outer}`;
  });
  return [...new Set(bound)];
}

/** Names that differ only in numbers are listed once: `model.layers.*.mlp.down_proj.weight ×28`. */
function numberedOnce(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  const pattern = (name: string): string => name.replace(/\d+/g, '*');
  for (const name of names) counts.set(pattern(name), (counts.get(pattern(name)) ?? 0) + 1);
  const shown = names.map((name) => {
    const count = counts.get(pattern(name)) ?? 1;
    return count === 1 ? name : `${pattern(name)} ×${count}`;
  });
  return [...new Set(shown)];
}

/** `label` and names, in lines of at most WIDTH characters. */
function wrap(label: string, names: readonly string[]): string[] {
  const indent = `  ${label.padEnd(4)}`;
  const lines: string[] = [];
  let line = '';
  for (const name of names) {
    if (line !== '' && indent.length + line.length + name.length + 2 > WIDTH) {
      lines.push(`${line},`);
      line = '';
    }
    line += line === '' ? name : `, ${name}`;
  }
  return [...lines, line].map((text, index) => (index === 0 ? indent : ' '.repeat(indent.length)) + text);
}
