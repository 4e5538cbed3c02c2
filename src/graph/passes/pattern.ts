import { type GraphSpec, type NodeSpec, type ViewSpec, viewRoot, writtenInputs } from '../graph-spec.js';
import { type AtbOpParams, type AtbOpType, writtenInputsOf } from '../ops/index.js';

/** One node's reading of a tensor, directly or through a view. */
export interface Reading {
  readonly node: NodeSpec;
  /** Place of the node in the graph. */
  readonly at: number;
  /** Index among the node's inputs, and the name that it reads there. */
  readonly input: number;
  readonly name: string;
}

/** The param of a node that is an operation of this type. */
export function paramOf<T extends AtbOpType>(
  node: NodeSpec | undefined,
  type: T,
): AtbOpParams[T] | undefined {
  return node !== undefined && 'type' in node.op && node.op.type === type
    ? (node.op.param as AtbOpParams[T])
    : undefined;
}

/** A graph with the questions that patterns ask of it. */
export class Pattern {
  readonly #producers = new Map<string, number>();
  readonly #readings = new Map<string, Reading[]>();

  constructor(readonly spec: GraphSpec) {
    for (const [at, node] of spec.nodes.entries()) {
      for (const name of node.outputs) if (!node.inputs.includes(name)) this.#producers.set(name, at);
      for (const [input, name] of node.inputs.entries()) {
        const root = this.root(name);
        const readings = this.#readings.get(root) ?? [];
        readings.push({ node, at, input, name });
        this.#readings.set(root, readings);
      }
    }
  }

  /** The tensor behind a view. */
  root(name: string): string {
    return viewRoot(this.spec.views, name);
  }

  /** The node that makes the tensor behind a name, and its place; none for inputs of the graph. */
  producer(name: string): { readonly node: NodeSpec; readonly at: number } | undefined {
    const at = this.#producers.get(this.root(name));
    const node = at === undefined ? undefined : this.spec.nodes[at];
    return at === undefined || node === undefined ? undefined : { node, at };
  }

  /** Every reading of the tensor behind a name. */
  readings(name: string): readonly Reading[] {
    return this.#readings.get(this.root(name)) ?? [];
  }

  isDefined(name: string): boolean {
    return this.spec.inputs.includes(name) || name in this.spec.views || this.#producers.has(name);
  }

  isOutput(name: string): boolean {
    return this.spec.outputs.some((output) => this.root(output) === this.root(name));
  }

  /** The one reading of an intermediate tensor: nobody else sees it, not even the caller of the graph. */
  soleReading(name: string): Reading | undefined {
    const [reading, ...others] = this.readings(name);
    return others.length > 0 || this.isOutput(name) ? undefined : reading;
  }

  /** A view that cuts a tensor's rows, or heads that a view joined, into heads: [dim(0), heads, headDim]. */
  headsView(
    name: string,
  ): { readonly source: string; readonly heads: number; readonly headDim: number } | undefined {
    const view = this.spec.views[name];
    if (view === undefined || view.shape.length !== 3) return undefined;
    if (view.source in this.spec.views && this.rowsView(view.source) === undefined) return undefined;
    const [rows, heads, headDim] = view.shape;
    if (!isAxes(rows, 0) || typeof heads !== 'number' || typeof headDim !== 'number') return undefined;
    return { source: view.source, heads, headDim };
  }

  /** The source of a view that joins heads again: [dim(0), dim(1, 2)]. */
  rowsView(name: string): string | undefined {
    const view = this.spec.views[name];
    if (view === undefined || view.source in this.spec.views || view.shape.length !== 2) return undefined;
    return isAxes(view.shape[0], 0) && isAxes(view.shape[1], 1, 2) ? view.source : undefined;
  }

  /** Whether the inputs of node `from` hold the same values at node `to`: nothing in between writes them in place. */
  canMove(from: number, to: number): boolean {
    const read = new Set(this.spec.nodes[from]?.inputs.map((name) => this.root(name)));
    return this.spec.nodes
      .slice(from + 1, to)
      .every((node) => writtenBy(node).every((name) => !read.has(this.root(name))));
  }
}

const isAxes = (dim: ViewSpec['shape'][number] | undefined, ...axes: number[]): boolean =>
  typeof dim === 'object' && dim.axes.length === axes.length && axes.every((axis, i) => dim.axes[i] === axis);

/** Tensors that a node changes in place. */
function writtenBy({ op, inputs }: NodeSpec): string[] {
  const indices =
    'type' in op ? writtenInputsOf(op) : writtenInputs(op.graph).map((name) => op.graph.inputs.indexOf(name));
  return indices.map((index) => inputs[index] as string);
}

/** What a match makes of some nodes: others in their place, or none. */
export type Rewriting = ReadonlyMap<NodeSpec, readonly NodeSpec[]>;

/** Rewrites matches until there are none; `match` looks at one node and at what surrounds it. */
export function rewriteMatches(
  spec: GraphSpec,
  match: (pattern: Pattern, node: NodeSpec, at: number) => Rewriting | undefined,
): GraphSpec {
  for (let current = spec; ; ) {
    const pattern = new Pattern(current);
    let found: Rewriting | undefined;
    for (const [at, node] of current.nodes.entries()) {
      found = match(pattern, node, at);
      if (found) break;
    }
    if (!found) return current;
    const rewriting = found;
    current = { ...current, nodes: current.nodes.flatMap((node) => rewriting.get(node) ?? [node]) };
  }
}
