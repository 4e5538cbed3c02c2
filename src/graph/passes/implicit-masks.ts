import type { NodeSpec } from '../graph-spec.js';
import type { GraphPass } from './pass.js';

/**
 * Where a hint says what a mask means, the engine needs no mask tensor: the input goes, and the meaning becomes the
 * extension keys `causal` and `windowSize`.
 */
export const implicitMasks: GraphPass = {
  name: 'implicit-masks',
  summary: 'replaces causal and sliding-window mask tensors by params',
  rewrite(spec) {
    const nodes = spec.nodes.map(withoutMask);
    return nodes.every((node, index) => node === spec.nodes[index]) ? spec : { ...spec, nodes };
  },
};

/** Where each operation reads its mask. */
const MASK_INPUT: Readonly<Record<string, number>> = { SelfAttention: 3, PagedAttention: 5 };

interface MaskParam {
  readonly maskType?: string;
  readonly isTriuMask?: 0 | 1;
}

function withoutMask(node: NodeSpec): NodeSpec {
  const { op, hint, ...rest } = node;
  if (hint?.causal === undefined || 'graph' in op) return node;
  const at = MASK_INPUT[op.type];
  if (at === undefined) return node;
  const { isTriuMask: _, maskType, ...param } = op.param as MaskParam;
  const masked = maskType !== undefined && maskType !== 'MASK_TYPE_UNDEFINED';
  return {
    ...rest,
    op: { type: op.type, param: { ...param, maskType: 'MASK_TYPE_UNDEFINED', ...hint } },
    inputs: masked ? rest.inputs.toSpliced(at, 1) : rest.inputs,
  };
}
