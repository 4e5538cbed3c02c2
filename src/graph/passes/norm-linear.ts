import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';
import { type Pattern, paramOf, type Rewriting, rewriteMatches } from './pattern.js';
import { fusedLinear, productOf, type RowNorm } from './product.js';

/** RmsNorm or LayerNorm whose only reader is a product: its threads normalise the rows themselves, which saves a barrier. */
export const normLinear: GraphPass = {
  name: 'norm-linear',
  summary: 'normalises rows inside the product that reads them',
  rewrite: (spec) => rewriteMatches(spec, match),
};

function match(pattern: Pattern, node: NodeSpec, at: number): Rewriting | undefined {
  const rows = normOf(pattern, node);
  const [normed] = node.outputs;
  if (!rows || normed === undefined) return undefined;
  const reading = pattern.soleReading(normed);
  const product = reading && productOf(pattern.spec, reading.node);
  if (!reading || !product || product.norm || reading.input !== 0 || reading.name !== normed)
    return undefined;
  if (!pattern.canMove(at, reading.at)) return undefined;
  const [output] = reading.node.outputs as [string];
  const fused = fusedLinear(reading.node.name, { ...product, ...rows }, output);
  return new Map([
    [node, []],
    [reading.node, [fused]],
  ]);
}

/** What a node normalises, and how, when it is an RmsNorm or LayerNorm of rows without sums and without quantisation. */
export function normOf(
  pattern: Pattern,
  node: NodeSpec | undefined,
): { readonly x: string; readonly norm: RowNorm } | undefined {
  if (!node) return undefined;
  const [x, gamma, beta] = node.inputs as [string, string, string?];
  const rms = paramOf(node, 'RmsNorm');
  if (rms?.layerType === 'RMS_NORM_NORM' && !rms.hasResidual) {
    const { epsilon, quantType, modelType } = rms.normParam;
    const type = modelType === 'GEMMA_MODEL' ? 'rms-plus-one' : 'rms';
    return isQuantised(quantType) ? undefined : { x, norm: { type, gamma, epsilon } };
  }
  const layer = paramOf(node, 'LayerNorm');
  if (layer?.layerType !== 'LAYER_NORM_NORM' || beta === undefined) return undefined;
  const { epsilon, quantType, beginNormAxis } = layer.normParam;
  // Hidden states have two axes, unless a view says otherwise.
  const axes = pattern.spec.views[x]?.shape.length ?? 2;
  if (isQuantised(quantType) || (beginNormAxis !== -1 && beginNormAxis !== axes - 1)) return undefined;
  return { x, norm: { type: 'layer', gamma, beta, epsilon } };
}

const isQuantised = (quantType = 'QUANT_UNDEFINED'): boolean => quantType !== 'QUANT_UNDEFINED';
