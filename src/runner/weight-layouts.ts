import type { GraphSpec } from '../graph/graph-spec.js';
import { viewRoot } from '../graph/graph-spec.js';
import type { AtbOpParams } from '../graph/op-params.js';
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

/**
 * How each graph input should lie in memory: packed when a product reads it, row-major otherwise. A matrix that both a
 * product and a Gather read (a tied embedding) is packed too: Gather can read rows of it. So can a product without
 * SwiGLU of an interleaved one, which is how a matrix lies that is read both ways.
 */
export function weightLayouts(specs: readonly GraphSpec[]): Map<string, Layout> {
  const layouts = new Map<string, Layout>();
  const visit = (spec: GraphSpec, outerName: (inner: string) => string | undefined): void => {
    for (const { op, inputs } of spec.nodes) {
      const resolve = (name: string | undefined) =>
        name === undefined ? undefined : outerName(viewRoot(spec.views, name));
      if ('graph' in op) {
        const inner = op.graph;
        visit(inner, (name) => resolve(inputs[inner.inputs.indexOf(name)]));
        continue;
      }
      const matrix = matrixOf(op.type, op.param);
      const name = matrix && resolve(inputs[matrix.input]);
      if (!matrix || name === undefined) continue;
      if (layouts.get(name) !== 'linear-interleaved') layouts.set(name, matrix.layout);
    }
  };
  for (const spec of specs) visit(spec, (name) => (spec.inputs.includes(name) ? name : undefined));
  return layouts;
}
