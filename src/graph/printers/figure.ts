import { distinctGraphs, type GraphSpec, type NodeSpec, viewChain, writtenInputs } from '../graph-spec.js';
import { groupNodes, operandText, paramEntries } from './outline.js';

/** What a box stands for; decides its colour. */
export type BoxKind = 'matmul' | 'norm' | 'attention' | 'move' | 'elementwise' | 'graph' | 'input' | 'output';

export interface Box {
  readonly id: string;
  readonly kind: BoxKind;
  readonly title: string;
  /** Smaller lines under the title: params, and inputs that are not drawn as boxes. */
  readonly lines: readonly string[];
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly label: string;
}

/** The drawing of one graph. */
export interface Panel {
  readonly title: string;
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

const KINDS: Readonly<Record<string, BoxKind>> = {
  Linear: 'matmul',
  LinearParallel: 'matmul',
  W8A16MatMul: 'matmul',
  W4A16MatMul: 'matmul',
  W8A8MatMul: 'matmul',
  FusedLinear: 'matmul',
  RmsNorm: 'norm',
  LayerNorm: 'norm',
  SelfAttention: 'attention',
  PagedAttention: 'attention',
  QkvRopeCache: 'attention',
  Elewise: 'elementwise',
  Activation: 'elementwise',
  Rope: 'elementwise',
  Softmax: 'elementwise',
};

/** Params that say what a reader of the drawing wants; the rest is in the text form. */
const SHOWN =
  /^(headNum|kvHeadNum|splitSizes|rotaryCoeff|maskType|calcType|causal|windowSize|chunkSize|elewiseType|activationType|hasBias: true)/;

/** A graph as boxes and arrows: one panel for each distinct graph, outer first. */
export const figure = (spec: GraphSpec): Panel[] => distinctGraphs(spec).map(panel);

function panel(spec: GraphSpec): Panel {
  const boxes: Box[] = [];
  const arrows: Arrow[] = [];
  const inputs = new Set(spec.inputs);
  const inPlace = new Set(writtenInputs(spec));
  const writer = new Map<string, string>();
  const root = (name: string): string => viewChain(spec.views, name).at(-1) ?? name;
  const addInput = (name: string): void => {
    boxes.push({ id: name, kind: 'input', title: name, lines: [] });
    writer.set(name, name);
  };

  for (const { first, last, count } of groupNodes(spec)) {
    const isGraph = 'graph' in first.op;
    const given = first.inputs.filter((name) => !writer.has(root(name)) && inputs.has(root(name)));
    const data = given.filter((name) => !isWeight(name));
    // Caches, and what a drawing must begin with, are boxes; everything else is listed where it is read.
    const begins = !first.inputs.some((name) => writer.has(root(name)) && !inputs.has(root(name)));
    const asBoxes = isGraph ? [] : data.filter((name) => begins || inPlace.has(name));
    for (const name of new Set(asBoxes.map(root))) addInput(name);
    const listed = given.filter((name) => !asBoxes.includes(name));
    // What differs from layer to layer is the layer's own: its weights and caches.
    const shared = isGraph ? listed.filter((name) => !isWeight(name) && !inPlace.has(name)) : listed;
    boxes.push(nodeBox(first, last, count, shared));
    const labels = new Map<string, string[]>();
    for (const name of new Set(first.inputs)) {
      const from = writer.get(root(name));
      if (from === undefined) continue;
      const label = operandText(spec, name);
      labels.set(from, [...(labels.get(from) ?? []), ...(label === from ? [] : [label])]);
    }
    for (const [from, names] of labels) arrows.push({ from, to: first.name, label: names.join(', ') });
    for (const output of last.outputs) writer.set(output, first.name);
  }
  for (const output of spec.outputs) {
    const id = `output ${output}`;
    boxes.push({ id, kind: 'output', title: output, lines: [] });
    arrows.push({ from: writer.get(root(output)) ?? root(output), to: id, label: '' });
  }
  return { title: spec.name, boxes, arrows };
}

const isWeight = (name: string): boolean => /\.(weight|bias)(_scale|_offset)?$/.test(name);

function nodeBox(first: NodeSpec, last: NodeSpec, count: number, reads: readonly string[]): Box {
  if ('graph' in first.op) {
    const placed = count === 1 ? first.name : `${first.name} … ${last.name} (${count})`;
    return { id: first.name, kind: 'graph', title: first.op.graph.name, lines: [placed, ...reads] };
  }
  const entries = paramEntries({ ...first.op.param, ...first.hint }).filter((entry) => SHOWN.test(entry));
  const params = entries.map((entry) => entry.replace(/(ELEWISE|ACTIVATION|MASK_TYPE|CALC_TYPE)_/, ''));
  const kind = KINDS[first.op.type] ?? 'move';
  return { id: first.name, kind, title: first.op.type, lines: [...params, ...reads] };
}
