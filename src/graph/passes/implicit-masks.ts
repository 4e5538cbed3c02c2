import type { NodeSpec } from '../graph-spec.js';
import { hasMask, maskInputOf } from '../ops/attention.js';
import { count } from '../ops/definition.js';
import type { GraphPass } from './pass.js';

/**
 * Where a hint says what a mask means, the engine needs no mask tensor: the input goes, and the meaning becomes extension
 * keys. Tokens that stood as sequences of their own, because a mask could not be said otherwise, become sequences again.
 */
export const implicitMasks: GraphPass = {
  name: 'implicit-masks',
  summary: 'replaces causal, sliding-window, chunk and ALiBi mask tensors by params',
  rewrite(spec) {
    const nodes = spec.nodes.map(withoutMask);
    if (nodes.every((node, index) => node === spec.nodes[index])) return spec;
    const added = spec.nodes.flatMap(({ hint }) => [
      ...Object.values(hint?.sequences ?? {}),
      ...(hint?.seen === undefined ? [] : [hint.seen]),
    ]);
    return { ...spec, inputs: [...new Set([...spec.inputs, ...added])], nodes };
  },
};

interface MaskParam {
  readonly maskType?: string;
  readonly isTriuMask?: 0 | 1;
  readonly hasSinks?: boolean;
}

function withoutMask(node: NodeSpec): NodeSpec {
  const { op, hint, ...rest } = node;
  if (hint?.causal === undefined || 'graph' in op) return node;
  const at = maskInputOf(op.type, op.param);
  if (at === undefined) return node;
  const { isTriuMask: _, maskType, ...param } = op.param as MaskParam;
  const { hasSinks } = param;
  const { sequences, seen, ...meaning } = hint;
  const hasSeen = seen !== undefined;
  const implicit = { ...param, maskType: 'MASK_TYPE_UNDEFINED', ...meaning, ...(hasSeen && { hasSeen }) };
  const unmasked = hasMask(maskType) ? rest.inputs.toSpliced(at, 1) : rest.inputs;
  const inputs = hasSeen ? unmasked.toSpliced(unmasked.length - count(hasSinks), 0, seen) : unmasked;
  if (!sequences) return { ...rest, op: { type: op.type, param: implicit }, inputs };
  const { blockTables, seqLen, qLen } = sequences;
  return {
    ...rest,
    op: { type: op.type, param: { ...implicit, calcType: 'CALC_TYPE_SPEC' } },
    inputs: [...inputs.slice(0, 3), blockTables, seqLen, qLen],
  };
}
