import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { buildLinear } from './linear.js';
import { CommonOpBuilder } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'QKV'>;
type Tensors = BuilderTensors['QKV'];

const WANTS_PACK = 'wants one packed linear, found three';

function buildPacked(graph: AtbGraph, param: Param, tensors: Tensors, splitSizes?: readonly number[]): void {
  const { opName, linears } = param;
  const mixed = `${opName}_mixed`;
  buildLinear(graph, opName, linears[0], { input: tensors.input, linearOut: mixed });
  const split = { splitDim: 1, splitNum: 3, ...(splitSizes && { splitSizes }) } as const;
  graph.addOperation(
    new BaseOperation('Split', split, `${opName}_split`),
    [mixed],
    [tensors.qOut, tensors.kOut, tensors.vOut],
  );
}

/** As many key heads as query heads, all of one size: one linear, cut in three equal parts. */
@CommonOpBuilder()
export class MhaPack implements OpBuilder<'QKV'> {
  readonly category = 'QKV';

  isMatch({ linears, headNum, kvHeadNum, headDim, valueHeadDim = headDim }: Param): true | string {
    if (linears.length !== 1) return WANTS_PACK;
    if (valueHeadDim !== headDim) return `wants values of ${headDim} numbers, found ${valueHeadDim}`;
    return (
      headNum === kvHeadNum || `wants as many key heads as query heads, found ${kvHeadNum} and ${headNum}`
    );
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    buildPacked(graph, param, tensors);
  }
}

/**
 * Fewer key heads than query heads, or values of another size: one linear, cut by sizes (MindIE slices twice and splits;
 * one Split says the same).
 */
@CommonOpBuilder()
export class GqaPack implements OpBuilder<'QKV'> {
  readonly category = 'QKV';

  isMatch({ linears, headNum, kvHeadNum, headDim, valueHeadDim = headDim }: Param): true | string {
    if (linears.length !== 1) return WANTS_PACK;
    if (valueHeadDim !== headDim) return true;
    return headNum !== kvHeadNum || `wants fewer key heads than query heads, found ${headNum} of each`;
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { headNum, kvHeadNum, headDim, valueHeadDim = headDim } = param;
    const splitSizes = [headNum * headDim, kvHeadNum * headDim, kvHeadNum * valueHeadDim];
    buildPacked(graph, param, tensors, splitSizes);
  }
}

/** Three linears, for projections that are stored differently. */
@CommonOpBuilder()
export class NoPack implements OpBuilder<'QKV'> {
  readonly category = 'QKV';

  isMatch({ linears }: Param): true | string {
    return linears.length === 3 || 'wants three linears, found one packed';
  }

  build(graph: AtbGraph, { opName, linears }: Param, { input, qOut, kOut, vOut }: Tensors): void {
    const outs = [
      ['q', qOut],
      ['k', kOut],
      ['v', vOut],
    ] as const;
    for (const [index, [suffix, linearOut]] of outs.entries()) {
      const linear = linears[index];
      if (linear) buildLinear(graph, `${opName}_${suffix}`, linear, { input, linearOut });
    }
  }
}
