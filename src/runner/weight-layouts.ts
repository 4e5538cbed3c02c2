import type { GraphSpec } from '../graph/graph-spec.js';
import { viewRoot } from '../graph/graph-spec.js';
import type { AtbOpParams } from '../graph/ops/index.js';
import type { WeightLoad } from '../native/binding.js';

type Layout = WeightLoad['layout'];

const PLAIN_PRODUCTS: readonly string[] = ['Linear', 'W8A16MatMul', 'W4A16MatMul', 'W8A8MatMul'];

/** The matrix that an operation multiplies by, and how the engine wants it. */
function matrixOf(
  type: string,
  param: object,
): { readonly input: number; readonly layout: Layout } | undefined {
  if (PLAIN_PRODUCTS.includes(type)) return { input: 1, layout: 'linear' };
  if (type !== 'FusedLinear') return undefined;
  const { normEpsilon, activation } = param as AtbOpParams['FusedLinear'];
  return {
    input: normEpsilon === undefined ? 1 : 2,
    layout: activation === 'swiglu' ? 'linear-interleaved' : 'linear',
  };
}

/** A product of a graph: its node's path ("layer_3/gate_up"), and the graph input that it multiplies by. */
interface Product {
  readonly path: string;
  readonly matrix: string;
  readonly layout: Layout;
}

/** Every product with a matrix that comes into the graph from outside. */
export function products(spec: GraphSpec): Product[] {
  const found: Product[] = [];
  const visit = (
    graph: GraphSpec,
    prefix: string,
    outerName: (inner: string) => string | undefined,
  ): void => {
    for (const { name, op, inputs } of graph.nodes) {
      const resolve = (input: string | undefined) =>
        input === undefined ? undefined : outerName(viewRoot(graph.views, input));
      if ('graph' in op) {
        const inner = op.graph;
        visit(inner, `${prefix}${name}/`, (input) => resolve(inputs[inner.inputs.indexOf(input)]));
        continue;
      }
      const operand = matrixOf(op.type, op.param);
      const matrix = operand && resolve(inputs[operand.input]);
      if (matrix !== undefined)
        found.push({ path: `${prefix}${name}`, matrix, layout: operand?.layout ?? 'linear' });
    }
  };
  visit(spec, '', (name) => (spec.inputs.includes(name) ? name : undefined));
  return found;
}

/**
 * How each graph input should lie in memory: packed when a product reads it, row-major otherwise. A matrix that both a
 * product and a Gather read (a tied embedding) is packed too: Gather can read rows of it. So can a product without
 * SwiGLU of an interleaved one, which is how a matrix lies that is read both ways.
 */
export function weightLayouts(specs: readonly GraphSpec[]): Map<string, Layout> {
  const layouts = new Map<string, Layout>();
  for (const { matrix, layout } of specs.flatMap(products)) {
    if (layouts.get(matrix) !== 'linear-interleaved') layouts.set(matrix, layout);
  }
  return layouts;
}
