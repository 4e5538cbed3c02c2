import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import { ACL_OF_DTYPE } from '../../graph/ops/inputs.js';

/** `input` of a model's dtype in f32, as `wide`: in models of f32 that is itself. Returns its name. */
export function addWidened(graph: AtbGraph, input: string, dtype: FloatDType, wide: string): string {
  return dtype === 'f32' ? input : addCast(graph, input, 'f32', wide, 'widen');
}

/** `input` in f32 in a model's dtype, as `narrow`: in models of f32 that is itself. Returns its name. */
export function addNarrowed(graph: AtbGraph, input: string, dtype: FloatDType, narrow: string): string {
  return dtype === 'f32' ? input : addCast(graph, input, dtype, narrow, 'narrow');
}

function addCast(graph: AtbGraph, input: string, dtype: FloatDType, out: string, does: string): string {
  const cast = { elewiseType: 'ELEWISE_CAST', outTensorType: ACL_OF_DTYPE[dtype] } as const;
  graph.addOperation(new BaseOperation('Elewise', cast, `${out}_${does}`), [input], [out]);
  return out;
}
