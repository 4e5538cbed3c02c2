import type { GraphSpec } from '../graph/graph-spec.js';
import { viewRoot } from '../graph/graph-spec.js';
import type { WeightLoad } from '../native/binding.js';

/** Operations whose second input is a matrix that the engine packs for its products. */
const MATRIX_INPUT: Readonly<Record<string, number>> = { Linear: 1 };

/**
 * How each graph input should lie in memory: packed when a product reads it, row-major otherwise. A matrix that both a
 * product and a Gather read (a tied embedding) is packed too: Gather can read rows of it.
 */
export function weightLayouts(specs: readonly GraphSpec[]): Map<string, WeightLoad['layout']> {
  const layouts = new Map<string, WeightLoad['layout']>();
  const visit = (spec: GraphSpec, outerName: (inner: string) => string | undefined): void => {
    for (const { op, inputs } of spec.nodes) {
      const resolve = (name: string | undefined) =>
        name === undefined ? undefined : outerName(viewRoot(spec.views, name));
      if ('graph' in op) {
        const inner = op.graph;
        visit(inner, (name) => resolve(inputs[inner.inputs.indexOf(name)]));
        continue;
      }
      const at = MATRIX_INPUT[op.type];
      const matrix = at === undefined ? undefined : resolve(inputs[at]);
      if (matrix !== undefined) layouts.set(matrix, 'linear');
    }
  };
  for (const spec of specs) visit(spec, (name) => (spec.inputs.includes(name) ? name : undefined));
  return layouts;
}
