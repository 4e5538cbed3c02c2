import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { CommonOpBuilder } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

@CommonOpBuilder()
export class Rope2d implements OpBuilder<'ROPE'> {
  readonly category = 'ROPE';

  isMatch({ ropeType = 'rope_2d' }: ParamOf<'ROPE'>): true | string {
    return ropeType === 'rope_2d' || `wants rope_2d, found ${ropeType}`;
  }

  build(graph: AtbGraph, { opName, rotaryCoeff }: ParamOf<'ROPE'>, tensors: BuilderTensors['ROPE']): void {
    const { q, k, cosEmbedding, sinEmbedding, seqLen, qOut, kOut } = tensors;
    const op = new BaseOperation('Rope', { rotaryCoeff }, opName);
    graph.addOperation(op, [q, k, cosEmbedding, sinEmbedding, seqLen], [qOut, kOut]);
  }
}
