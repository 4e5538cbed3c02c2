import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { LinearAdapter } from '../weights/linear-adapters.js';
import { buildLinear } from './linear.js';
import { CommonOpBuilder } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'LINEAR'>;
type Tensors = BuilderTensors['LINEAR'];

/** How much the adapter of this place among those of the run counts for each token: an input [tokens, 1] of graphs. */
export const loraShares = (index: number): string => `lora_${index}_shares`;

/**
 * A linear and the LoRA adapters of the run, each of which adds share * up(down(x)). Tokens of requests without an adapter
 * have shares of 0, so that all of a batch go through one graph.
 */
@CommonOpBuilder()
export class AdaptedLinear implements OpBuilder<'LINEAR'> {
  readonly category = 'LINEAR';

  isMatch({ linear: { adapters } }: Param): true | string {
    return adapters !== undefined || 'wants adapters, found none';
  }

  build(graph: AtbGraph, { opName, linear }: Param, { input, linearOut }: Tensors): void {
    const { pieces, adapters } = linear.adapters ?? { pieces: [], adapters: [] };
    const alone = `${opName}_unadapted`;
    buildLinear(graph, opName, linear.unadapted, { input, linearOut: alone });
    const sums = addColumns(graph, alone, pieces);
    for (const [at, adapter] of adapters.entries()) {
      const isLast = at === adapters.length - 1;
      const added = addAdapter(graph, `${opName}_adapter_${adapter.index}`, adapter, input);
      for (const [piece, addend] of added.entries()) {
        if (addend === undefined) continue;
        const out = isLast && pieces.length === 1 ? linearOut : `${addend}_sum`;
        const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, out);
        graph.addOperation(add, [sums[piece] as string, addend], [out]);
        sums[piece] = out;
      }
    }
    sums.reduce((left, right, at) => {
      const out = at === sums.length - 1 ? linearOut : `${opName}_pieces_${at}`;
      graph.addOperation(
        new BaseOperation('Concat', { concatDim: 1 }, `${out}_concat`),
        [left, right],
        [out],
      );
      return out;
    });
  }
}

/** `input` [tokens, in] -> for each piece what the adapter adds to it, [tokens, out]; undefined for nothing. */
function addAdapter(
  graph: AtbGraph,
  name: string,
  { index, down, ups, rank }: LinearAdapter,
  input: string,
): (string | undefined)[] {
  const [low, shared] = [`${name}_low`, `${name}_shared`];
  graph.addOperation(new BaseOperation('Linear', PLAIN, `${name}_down`), [input, down.name], [low]);
  const share = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${name}_share`);
  graph.addOperation(share, [low, loraShares(index)], [shared]);
  const lows = addColumns(
    graph,
    shared,
    ups.flatMap((up) => (up ? [rank] : [])),
  );
  return ups.map((up, piece) => {
    if (up === undefined) return undefined;
    const out = `${name}_up_${piece}`;
    graph.addOperation(
      new BaseOperation('Linear', PLAIN, `${out}_linear`),
      [lows.shift() as string, up.name],
      [out],
    );
    return out;
  });
}

const PLAIN = { transposeB: true, hasBias: false } as const;

/** Neighbouring columns of `input` [tokens, columns], by how many there are of each; all of them as they are. */
function addColumns(graph: AtbGraph, input: string, counts: readonly number[]): string[] {
  if (counts.length === 1) return [input];
  let from = 0;
  return counts.map((count, at) => {
    const out = `${input}_${at}`;
    const slice = new BaseOperation('Slice', { offsets: [0, from], size: [-1, count] }, `${out}_slice`);
    graph.addOperation(slice, [input], [out]);
    from += count;
    return out;
  });
}
