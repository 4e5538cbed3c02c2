import { type GraphSpec, type NodeSpec, viewRoot } from './graph-spec.js';
import { findOp, type MatrixLayout } from './ops/index.js';

/** One operation in one of the places where its graph stands. */
export interface PlacedOperation {
  /** `layer_3/gate_up`, as the engine names it in timings. */
  readonly path: string;
  readonly node: NodeSpec;
  /** What the whole graph calls each input that comes from outside; undefined for what the graph computes. */
  readonly outerInputs: readonly (string | undefined)[];
  /** The path of each input that its own graph computes, `layer_3/attn_out`; undefined for what comes into that graph. */
  readonly innerInputs: readonly (string | undefined)[];
  /** What one row of its data stands for: a token of the step, or one that was gathered from them, as for the head. */
  readonly rows: 'tokens' | 'gathered';
}

/** The operations of a graph and of its sub-graphs, each as often as it is placed, in running order. */
export function placedOperations(spec: GraphSpec): PlacedOperation[] {
  const found: PlacedOperation[] = [];
  visit(spec, { prefix: '', outer: new Map(spec.inputs.map((name) => [name, name])), gathered: [] }, found);
  return found;
}

/** What a graph's inputs are where it is placed. */
interface Placement {
  readonly prefix: string;
  /** Input -> its name in the whole graph, if it comes from outside. */
  readonly outer: ReadonlyMap<string, string>;
  /** Inputs whose rows were gathered. */
  readonly gathered: readonly string[];
}

/** Adds the operations of one placed graph; returns which of its outputs have gathered rows. */
function visit(spec: GraphSpec, { prefix, outer, gathered }: Placement, found: PlacedOperation[]): string[] {
  const isGathered = new Set(gathered);
  for (const node of spec.nodes) {
    const roots = node.inputs.map((name) => viewRoot(spec.views, name));
    const outerInputs = roots.map((name) => outer.get(name));
    const path = `${prefix}${node.name}`;
    if ('graph' in node.op) {
      const { graph } = node.op;
      const inner: Placement = {
        prefix: `${path}/`,
        outer: new Map(
          graph.inputs.flatMap((name, index) => {
            const outside = outerInputs[index];
            return outside === undefined ? [] : [[name, outside] as const];
          }),
        ),
        gathered: graph.inputs.filter((_, index) => isGathered.has(roots[index] ?? '')),
      };
      const outputs = visit(graph, inner, found);
      graph.outputs.forEach((name, index) => {
        if (outputs.includes(name)) isGathered.add(node.outputs[index] ?? '');
      });
      continue;
    }
    // A table from outside, as an embedding, gives a row to each token; rows that the graph computed are picked.
    const picks = node.op.type === 'Gather' && outerInputs[0] === undefined;
    if (picks || roots.some((name) => isGathered.has(name))) {
      for (const name of node.outputs) isGathered.add(name);
    }
    const rows = roots.some((name) => isGathered.has(name)) ? 'gathered' : 'tokens';
    const innerInputs = roots.map((name) => (spec.inputs.includes(name) ? undefined : `${prefix}${name}`));
    found.push({ path, node, outerInputs, innerInputs, rows });
  }
  return spec.outputs.filter((name) => isGathered.has(viewRoot(spec.views, name)));
}

/** A product with a matrix that comes into the graph from outside. */
export interface PlacedProduct extends PlacedOperation {
  /** The matrix's name in the whole graph. */
  readonly matrix: string;
  readonly layout: MatrixLayout;
}

/** The products of a graph, each as often as it is placed. */
export function productsOf(spec: GraphSpec): PlacedProduct[] {
  return placedOperations(spec).flatMap((operation) => {
    const { op } = operation.node;
    const packed = ('type' in op && findOp(op.type)?.matrix?.(op.param)) || [];
    return [packed].flat().flatMap(({ input, layout }) => {
      const matrix = operation.outerInputs[input];
      return matrix === undefined ? [] : [{ ...operation, matrix, layout }];
    });
  });
}

/**
 * How the matrices of products should lie in memory; every other input is row-major. A matrix that both a product and a
 * Gather read (a tied embedding) is packed too: Gather can read rows of it. So can a product without SwiGLU of an
 * interleaved one, which is how a matrix lies that is read both ways.
 */
export function matrixLayouts(specs: readonly GraphSpec[]): Map<string, MatrixLayout> {
  const layouts = new Map<string, MatrixLayout>();
  for (const { matrix, layout } of specs.flatMap(productsOf)) {
    if (layouts.get(matrix) !== 'linear-interleaved') layouts.set(matrix, layout);
  }
  return layouts;
}
