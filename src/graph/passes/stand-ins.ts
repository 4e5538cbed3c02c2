import type { FloatDType } from '../../dtype.js';
import type { NodeSpec } from '../graph-spec.js';
import type { GatherDequantParam } from '../ops/gather-dequant.js';
import { ACL_OF_DTYPE } from '../ops/inputs.js';
import type { GraphPass } from './pass.js';
import { paramOf } from './pattern.js';

/** A tensor that takes the place of another. */
export interface StandIn {
  readonly name: string;
  /** Of integers that stand for floats: their scales, an input of the same graph. */
  readonly scaleName?: string;
  readonly bits?: 8 | 4;
  /** Columns that share a scale; 0 when absent: all of a row. */
  readonly groupSize?: number;
}

/**
 * The pass that lets a graph read other tensors in place of some inputs; rows of integers that are gathered become
 * floats of `dtype`. It depends on how weights are stored, so it is made for one model and is not among PASSES.
 */
export function standInPass(standIns: ReadonlyMap<string, StandIn>, dtype: FloatDType): GraphPass {
  const rename = (name: string): string => standIns.get(name)?.name ?? name;
  const replaced = (node: NodeSpec): NodeSpec => {
    const [table = '', indices = ''] = node.inputs;
    const { name, scaleName, bits = 8, groupSize = 0 } = standIns.get(table) ?? {};
    if (!paramOf(node, 'Gather') || name === undefined || scaleName === undefined)
      return { ...node, inputs: node.inputs.map(rename) };
    const param: GatherDequantParam = {
      weightBits: bits,
      ...(groupSize > 0 && { quantGroupSize: groupSize }),
      outDataType: ACL_OF_DTYPE[dtype],
    };
    return { ...node, op: { type: 'GatherDequant', param }, inputs: [name, indices, scaleName] };
  };
  return {
    name: 'stand-ins',
    summary: 'reads the tensors that stand for some weights',
    // Sub-graphs know their weights by position, so only the whole graph names them.
    rewrite: (spec, { isRoot }) =>
      isRoot && spec.inputs.some((name) => standIns.has(name))
        ? { ...spec, inputs: [...new Set(spec.inputs.map(rename))], nodes: spec.nodes.map(replaced) }
        : spec,
  };
}
