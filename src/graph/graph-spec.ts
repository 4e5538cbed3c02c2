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
  viewChain(views, name).at(-1) ?? name;

/** Every name that an operation or an output reads, directly or through views. */
export function readNames({ nodes, outputs, views }: Omit<GraphSpec, 'name' | 'inputs'>): Set<string> {
  const names = [...nodes.flatMap((node) => node.inputs), ...outputs];
  return new Set(names.flatMap((name) => viewChain(views, name)));
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

/** Equal sub-graphs become one object, so they are sent, planned and printed once. */
export class GraphInterner {
  readonly #graphs = new Map<string, { readonly id: number; readonly spec: GraphSpec }>();
  readonly #ids = new Map<GraphSpec, number>();

  /** The canonical object with this content, frozen throughout. */
  intern(spec: GraphSpec): GraphSpec {
    const known = this.#ids.get(spec);
    if (known !== undefined) return spec;
    const nodes = spec.nodes.map((node) =>
      'graph' in node.op ? { ...node, op: { graph: this.intern(node.op.graph) } } : node,
    );
    const text = JSON.stringify({
      ...spec,
      nodes: nodes.map((node) =>
        'graph' in node.op ? { ...node, op: { graph: this.#ids.get(node.op.graph) } } : node,
      ),
    });
    const found = this.#graphs.get(text);
    if (found) return found.spec;
    const canonical = deepFreeze({ ...spec, nodes });
    const id = this.#graphs.size;
    this.#graphs.set(text, { id, spec: canonical });
    this.#ids.set(canonical, id);
    return canonical;
  }

  /** Every distinct graph, inner ones first, each naming its sub-graphs by index: `{"graphs": [...], "roots": [...]}`. */
  serialize(roots: readonly GraphSpec[]): string {
    const ids = roots.map((root) => this.#ids.get(this.intern(root)));
    return `{"graphs":[${[...this.#graphs.keys()].join(',')}],"roots":${JSON.stringify(ids)}}`;
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
