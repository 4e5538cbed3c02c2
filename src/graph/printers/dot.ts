import type { GraphSpec } from '../graph-spec.js';
import { figure } from './figure.js';
import { COLOURS } from './theme.js';

/** Graphviz source: one cluster for each distinct graph. */
export function printDot(spec: GraphSpec): string {
  const lines = [
    `digraph ${quote(spec.name)} {`,
    '  graph [fontname="Helvetica", rankdir=TB, nodesep=0.3, ranksep=0.4];',
    '  node [fontname="Helvetica", fontsize=11, shape=box, style="rounded,filled"];',
    '  edge [fontname="Helvetica", fontsize=9, color="#64748b", fontcolor="#475569"];',
  ];
  figure(spec).forEach((panel, index) => {
    const id = (box: string): string => quote(`${index}/${box}`);
    lines.push(
      `  subgraph cluster_${index} {`,
      `    label=${quote(panel.title)}; style=rounded; color="#cbd5e1";`,
    );
    for (const { id: box, kind, title, lines: text } of panel.boxes) {
      const { fill, line } = COLOURS[kind];
      const label = [title, ...text].map((part) => quote(part).slice(1, -1)).join('\\n');
      lines.push(`    ${id(box)} [label="${label}", fillcolor="${fill}", color="${line}"];`);
    }
    for (const { from, to, label } of panel.arrows) {
      lines.push(`    ${id(from)} -> ${id(to)}${label && ` [label=${quote(label)}]`};`);
    }
    lines.push('  }');
  });
  return `${[...lines, '}'].join('\n')}\n`;
}

const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
