import type { MaskMeaning } from './ops/attention.js';
import { type AtbOpType, writtenInputsOf } from './ops/index.js';

/** One dimension of a view: a constant, or the product of some axes of its source. */
export type ViewDim = number | { readonly axes: readonly number[] };

/** `dim(0)` copies axis 0; `dim(1, 2)` merges axes 1 and 2. */
export const dim = (...axes: number[]): ViewDim => ({ axes });

/** A second shape for a tensor's bytes; no data moves. */
export interface ViewSpec {
  /** A tensor, or another view. */
  readonly source: string;
  readonly shape: readonly ViewDim[];
}

/** The tensors that say which tokens of a step belong to which sequence, by name. */
export interface Sequences {
  readonly blockTables: string;
  readonly seqLen: string;
  readonly qLen: string;
}

/** What the inputs of a node mean. ATB never sees it; passes act on it. */
export interface NodeHint extends MaskMeaning {
  /** Of attention whose tokens stand as sequences of one token each: the sequences that they are of. */
  readonly sequences?: Sequences;
  /** Of causal attention whose mask lets some queries see later keys: the tensor that says how many keys each sees. */
  readonly seen?: string;
  /** Of a product of integers: offsets are zero, and the result has the dtype of the floats that it stands for. */
  readonly symmetric?: true;
  /** Of a product of integers with offsets: these are weights, which the engine packs with the integers. */
  readonly packedOffsets?: true;
  /** Of a product of integers with floats: each row of these is meant to become int8 first, as DynamicQuant makes it. */
  readonly int8Activations?: true;
}

/** An operation, or a graph placed by position. */
export interface NodeSpec {
  /** Unique in its graph. */
  readonly name: string;
  readonly op: { readonly type: AtbOpType; readonly param: object } | { readonly graph: GraphSpec };
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly hint?: NodeHint;
}

/** A validated graph as plain data: this object is all that the native engine ever sees. */
export interface GraphSpec {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly views: Readonly<Record<string, ViewSpec>>;
  readonly nodes: readonly NodeSpec[];
}

/** A name, what it shows, what that shows, …: the last is a tensor, or where a cycle of views closes. */
export function viewChain(views: GraphSpec['views'], name: string): string[] {
  const chain = [name];
  for (
    let view = views[name];
    view !== undefined && !chain.includes(view.source);
    view = views[view.source]
  ) {
    chain.push(view.source);
  }
  return chain;
}

/** The tensor behind a name: itself, or what its view shows. */
export const viewRoot = (views: GraphSpec['views'], name: string): string =>
  views[name] === undefined ? name : (viewChain(views, name).at(-1) ?? name);

/** Every name that an operation or an output reads, directly or through views. */
export function readNames({ nodes, outputs, views }: Omit<GraphSpec, 'name' | 'inputs'>): Set<string> {
  const read = new Set<string>();
  const add = (name: string): void => {
    for (
      let shown: string | undefined = name;
      shown !== undefined && !read.has(shown);
      shown = views[shown]?.source
    )
      read.add(shown);
  };
  for (const { inputs } of nodes) inputs.forEach(add);
  outputs.forEach(add);
  return read;
}

/** Drops inputs and views that no operation, view or output reads any more. */
export function withoutUnread(spec: GraphSpec): GraphSpec {
  const read = readNames(spec);
  return {
    ...spec,
    inputs: spec.inputs.filter((name) => read.has(name)),
    views: Object.fromEntries(Object.entries(spec.views).filter(([name]) => read.has(name))),
  };
}

/** Graph inputs that some operation writes in place: the KV caches. */
export function writtenInputs(spec: GraphSpec): string[] {
  const written = new Set<string>();
  for (const { op, inputs } of spec.nodes) {
    const indices =
      'type' in op
        ? writtenInputsOf(op)
        : writtenInputs(op.graph).map((name) => op.graph.inputs.indexOf(name));
    for (const index of indices) written.add(viewRoot(spec.views, inputs[index] ?? ''));
  }
  return spec.inputs.filter((name) => written.has(name));
}

/** A graph and its sub-graphs, each once, outer first. */
export function distinctGraphs(spec: GraphSpec): GraphSpec[] {
  const found = new Set<GraphSpec>([spec]);
  for (const graph of found) {
    for (const { op } of graph.nodes) if ('graph' in op) found.add(op.graph);
  }
  return [...found];
}

/** The graphs that nodes of a graph are, each once. */
const distinctInner = ({ nodes }: GraphSpec): GraphSpec[] => [
  ...new Set(nodes.flatMap(({ op }) => ('graph' in op ? [op.graph] : []))),
];

/** The nodes with something else in place of each sub-graph. */
const withSubGraphs = <T>(nodes: readonly NodeSpec[], change: (graph: GraphSpec) => T) =>
  nodes.map((node) => ('graph' in node.op ? { ...node, op: { graph: change(node.op.graph) } } : node));

/** What canonical graphs are beside their sub-graphs: they never change, so that each is written once. */
const OWN_TEXTS = new WeakMap<GraphSpec, string>();
const ownText = (spec: GraphSpec): string =>
  OWN_TEXTS.get(spec) ?? JSON.stringify({ ...spec, nodes: withSubGraphs(spec.nodes, () => 0) });

/** Equal sub-graphs become one object, so they are sent, planned and printed once. */
export class GraphInterner {
  readonly #graphs = new Map<string, GraphSpec>();
  readonly #ids = new Map<GraphSpec, number>();

  /** The canonical object with this content, frozen throughout. */
  intern(spec: GraphSpec): GraphSpec {
    if (this.#ids.has(spec)) return spec;
    const inner = distinctInner(spec).map((graph) => [graph, this.intern(graph)] as const);
    const changed = new Map(inner.filter(([own, canonical]) => own !== canonical));
    const ids = spec.nodes.map(({ op }) => 'graph' in op && this.#ids.get(changed.get(op.graph) ?? op.graph));
    const text = ownText(spec);
    const key = `${ids.filter((id) => id !== false).join()} ${text}`;
    const found = this.#graphs.get(key);
    if (found) return found;
    const nodes = withSubGraphs(spec.nodes, (graph) => changed.get(graph) ?? graph);
    const canonical = changed.size === 0 && OWN_TEXTS.has(spec) ? spec : deepFreeze({ ...spec, nodes });
    OWN_TEXTS.set(canonical, text);
    this.#ids.set(canonical, this.#graphs.size);
    this.#graphs.set(key, canonical);
    return canonical;
  }

  /** Every distinct graph, inner ones first, each naming its sub-graphs by index: `{"graphs": [...], "roots": [...]}`. */
  serialize(specs: readonly GraphSpec[]): string {
    const roots = specs.map((spec) => this.#ids.get(this.intern(spec)));
    const graphs = [...this.#graphs.values()].map((spec) => ({
      ...spec,
      nodes: withSubGraphs(spec.nodes, (graph) => this.#ids.get(graph)),
    }));
    return JSON.stringify({ graphs, roots });
  }
}

/** The wire format of some graphs: every distinct one once. */
export const serializeGraphs = (roots: readonly GraphSpec[]): string => new GraphInterner().serialize(roots);

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
