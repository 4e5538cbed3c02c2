import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { buildLinear } from './linear.js';
import { CommonOpBuilder, CommonOpBuilderManager } from './manager.js';
import { tensorOf } from './tensor-of.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'LM_HEAD'>;
type Tensors = BuilderTensors['LM_HEAD'];

/** The rows whose logits are wanted; all of them without `gatherAhead`. */
function gatherRows(graph: AtbGraph, param: Param, tensors: Tensors): string {
  const { opName, gatherAhead } = param;
  if (!gatherAhead) return tensors.input;
  const rows = `${opName}_input`;
  const gather = new BaseOperation('Gather', { axis: 0 }, `${opName}_gather`);
  graph.addOperation(gather, [tensors.input, tensorOf(param, tensors, 'indices')], [rows]);
  return rows;
}

@CommonOpBuilder()
export class NoParallelLmHead implements OpBuilder<'LM_HEAD'> {
  readonly category = 'LM_HEAD';

  isMatch({ parallelInfo }: Param): true | string {
    return parallelInfo.worldSize === 1 || `wants one rank, found ${parallelInfo.worldSize}`;
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const input = gatherRows(graph, param, tensors);
    buildLinear(graph, param.opName, param.linear, { input, linearOut: tensors.linearOut });
  }
}

/** Each rank computes the logits of some tokens of the vocabulary. */
@CommonOpBuilder()
export class AllGatherLmHead implements OpBuilder<'LM_HEAD'> {
  readonly category = 'LM_HEAD';

  isMatch({ parallelInfo }: Param): true | string {
    return parallelInfo.worldSize > 1 || 'wants several ranks, found one';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, linear, parallelInfo } = param;
    const input = gatherRows(graph, param, tensors);
    const inner = {
      category: 'LINEAR_PARALLEL',
      opName,
      linear,
      parallelInfo,
      parallelType: 'ALL_GATHER',
      enableLcoc: false,
    } as const;
    CommonOpBuilderManager.getBuilder(inner).build(graph, { input, linearOut: tensors.linearOut });
  }
}
