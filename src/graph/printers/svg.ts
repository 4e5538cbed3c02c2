import dagre from '@dagrejs/dagre';
import type { GraphSpec } from '../graph-spec.js';
import { type Arrow, type Box, figure, type Panel } from './figure.js';
import { COLOURS } from './theme.js';

const TITLE_SIZE = 13;
const LINE_SIZE = 10.5;
const LINE_HEIGHT = 14;
const PADDING = 10;
const GAP = 48;
const HEADER = 44;
/** dagre lays its outermost edges on the border itself. */
const MARGIN = 20;

/** A drawing of a graph and its sub-graphs side by side, laid out with dagre; needs nothing but a browser to view. */
export function printSvg(spec: GraphSpec): string {
  let x = GAP / 2;
  let height = 0;
  const panels = figure(spec).map((panel) => {
    const drawn = drawPanel(panel);
    const placed = `<g transform="translate(${x} ${GAP / 2})">${drawn.svg}</g>`;
    x += drawn.width + GAP;
    height = Math.max(height, drawn.height);
    return placed;
  });
  const [width, total] = [round(x - GAP / 2), round(height + GAP)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" width="${width}" height="${total}"`,
    ' font-family="Inter, Helvetica, Arial, sans-serif">',
    `<title>${markup(spec.name)}</title>`,
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
    '<path d="M0 0.8 7 4 0 7.2z" fill="#64748b"/></marker></defs>',
    `<rect width="${width}" height="${total}" fill="#ffffff"/>`,
    ...panels,
    '</svg>\n',
  ].join('\n');
}

interface Placed {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function drawPanel({ title, boxes, arrows }: Panel): { svg: string; width: number; height: number } {
  const layout = new dagre.graphlib.Graph({ multigraph: true });
  layout.setGraph({ rankdir: 'TB', nodesep: 26, ranksep: 34, marginx: 24, marginy: 16 });
  layout.setDefaultEdgeLabel(() => ({}));
  for (const box of boxes) layout.setNode(box.id, boxSize(box));
  arrows.forEach(({ from, to, label }, index) => {
    const size = label
      ? { width: textWidth(label, 9.5) + 8, height: 14, labelpos: 'c' as const }
      : { width: 0, height: 0 };
    layout.setEdge(from, to, size, `${index}`);
  });
  dagre.layout(layout);
  const { width = 0, height = 0 } = layout.graph();
  const total = Math.max(width, textWidth(title, 15)) + 2 * MARGIN;
  const parts = [
    `<rect width="${round(total)}" height="${round(height + HEADER)}" rx="12" fill="#f8fafc" stroke="#e2e8f0"/>`,
    `<text x="20" y="28" font-size="15" font-weight="600" fill="#0f172a">${markup(title)}</text>`,
    `<g transform="translate(${round((total - width) / 2)} ${HEADER})">`,
    ...arrows.map((arrow, index) => drawArrow(arrow, layout.edge(arrow.from, arrow.to, `${index}`))),
    ...boxes.map((box) => drawBox(box, layout.node(box.id) as Placed)),
    '</g>',
  ];
  return { svg: parts.join('\n'), width: total, height: height + HEADER };
}

function boxSize({ kind, title, lines }: Box): { width: number; height: number } {
  const widest = Math.max(
    textWidth(title, TITLE_SIZE) * 1.06,
    ...lines.map((line) => textWidth(line, LINE_SIZE)),
  );
  const height =
    kind === 'input' || kind === 'output' ? 26 : 2 * PADDING + TITLE_SIZE + lines.length * LINE_HEIGHT;
  return { width: widest + 2 * PADDING + 4, height };
}

function drawBox({ kind, title, lines }: Box, { x, y, width, height }: Placed): string {
  const { fill, line } = COLOURS[kind];
  const ends = kind === 'input' || kind === 'output';
  const [left, top] = [round(x - width / 2), round(y - height / 2)];
  const ink = kind === 'output' ? '#ffffff' : '#0f172a';
  const first = ends ? y + 4.5 : top + PADDING + TITLE_SIZE - 2;
  const weight = ends ? 400 : 600;
  const size = ends ? 11 : TITLE_SIZE;
  const text = [
    `<text x="${round(x)}" y="${round(first)}" font-size="${size}" font-weight="${weight}" fill="${ink}" text-anchor="middle">${markup(title)}</text>`,
    ...lines.map((content, index) => {
      const at = round(first + 3 + (index + 1) * LINE_HEIGHT);
      return `<text x="${round(x)}" y="${at}" font-size="${LINE_SIZE}" fill="#475569" text-anchor="middle">${markup(content)}</text>`;
    }),
  ];
  const radius = ends ? height / 2 : 8;
  const frame = `<rect x="${left}" y="${top}" width="${round(width)}" height="${round(height)}" rx="${radius}" fill="${fill}" stroke="${line}"/>`;
  return [frame, ...text].join('\n');
}

interface Routed {
  readonly points?: readonly { readonly x: number; readonly y: number }[];
  readonly x?: number;
  readonly y?: number;
}

function drawArrow({ label }: Arrow, { points = [], x, y }: Routed): string {
  const path = `<path d="${smooth(points)}" fill="none" stroke="#64748b" stroke-width="1.2" marker-end="url(#arrow)"/>`;
  if (label === '' || x === undefined || y === undefined) return path;
  const width = round(textWidth(label, 9.5) + 6);
  return [
    path,
    `<rect x="${round(x - width / 2)}" y="${round(y - 7)}" width="${width}" height="14" rx="3" fill="#f8fafc" opacity="0.9"/>`,
    `<text x="${round(x)}" y="${round(y + 3.3)}" font-size="9.5" fill="#475569" text-anchor="middle">${markup(label)}</text>`,
  ].join('\n');
}

/** A curve through dagre's bends: quadratic pieces between the middles of its segments. */
function smooth(points: readonly { readonly x: number; readonly y: number }[]): string {
  const at = ({ x, y }: { x: number; y: number }): string => `${round(x)} ${round(y)}`;
  const [start, ...rest] = points;
  const end = rest.pop();
  if (!start || !end) return '';
  let path = `M${at(start)}`;
  rest.forEach((bend, index) => {
    const next = rest[index + 1];
    const stop = next ? { x: (bend.x + next.x) / 2, y: (bend.y + next.y) / 2 } : end;
    path += ` Q${at(bend)} ${at(stop)}`;
  });
  return rest.length === 0 ? `${path} L${at(end)}` : path;
}

/** Width of text in a sans-serif face, in pixels; close enough to leave room for it. */
function textWidth(text: string, size: number): number {
  let ems = 0;
  for (const letter of text) {
    ems += /[ijl.,:;|!()[\] ·]/.test(letter) ? 0.36 : /[A-ZmwMW_×…]/.test(letter) ? 0.72 : 0.58;
  }
  return ems * size;
}

const round = (value: number): number => Math.round(value * 10) / 10;

const markup = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
