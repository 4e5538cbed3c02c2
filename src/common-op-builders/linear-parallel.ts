import { type AtbGraph, BaseOperation, dim } from '../graph/atb-graph.js';
import { buildLinear } from './linear.js';
import { CommonOpBuilder } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'LINEAR_PARALLEL'>;
type Tensors = BuilderTensors['LINEAR_PARALLEL'];

function usesLcoc({ parallelType, parallelInfo, enableLcoc, linear }: Param): boolean {
  const { worldSize, backend } = parallelInfo;
  const isPlain = linear.isFloat && !linear.hasBias;
  return parallelType === 'ALL_REDUCE' && worldSize > 1 && enableLcoc && backend === 'lccl' && isPlain;
}

/** Matmul and all-reduce overlapped in one operation. */
@CommonOpBuilder()
export class LCOCLinearParallel implements OpBuilder<'LINEAR_PARALLEL'> {
  readonly category = 'LINEAR_PARALLEL';

  isMatch(param: Param): true | string {
    return (
      usesLcoc(param) || 'wants ALL_REDUCE with lcoc enabled over lccl, several ranks, floats and no bias'
    );
  }

  build(graph: AtbGraph, { opName, linear, parallelInfo }: Param, tensors: Tensors): void {
    const { rank, worldSize, rankTableFile } = parallelInfo;
    const param = { backend: 'lcoc', rank, rankSize: worldSize, rankTableFile, transWeight: true } as const;
    graph.addOperation(
      new BaseOperation('LinearParallel', param, opName),
      [tensors.input, linear.weight.name],
      [tensors.linearOut],
    );
  }
}

/** Rows of the weight are spread over the ranks, so their partial results are summed. Alone, just the linear. */
@CommonOpBuilder()
export class AllReduceLinearParallel implements OpBuilder<'LINEAR_PARALLEL'> {
  readonly category = 'LINEAR_PARALLEL';

  isMatch(param: Param): true | string {
    if (param.parallelType !== 'ALL_REDUCE') return `wants ALL_REDUCE, found ${param.parallelType}`;
    return !usesLcoc(param) || 'leaves lcoc to LCOCLinearParallel';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, linear } = param;
    const { worldSize, processGroup } = param.parallelInfo;
    const linearOut = worldSize === 1 ? tensors.linearOut : `${tensors.linearOut}_partial`;
    buildLinear(graph, opName, linear, { ...tensors, linearOut });
    if (worldSize === 1) return;
    const op = new BaseOperation('AllReduce', { allReduceType: 'sum', processGroup }, `${opName}_all_reduce`);
    graph.addOperation(op, [linearOut], [tensors.linearOut]);
  }
}

/** Output features are spread over the ranks, so their pieces are gathered: [ranks, tokens, n] -> [tokens, ranks * n]. */
@CommonOpBuilder()
export class AllGatherLinearParallel implements OpBuilder<'LINEAR_PARALLEL'> {
  readonly category = 'LINEAR_PARALLEL';

  isMatch({ parallelType }: Param): true | string {
    return parallelType === 'ALL_GATHER' || `wants ALL_GATHER, found ${parallelType}`;
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName, linear } = param;
    const { worldSize, processGroup } = param.parallelInfo;
    const linearOut = worldSize === 1 ? tensors.linearOut : `${tensors.linearOut}_partial`;
    buildLinear(graph, opName, linear, { ...tensors, linearOut });
    if (worldSize > 1) buildAllGather(graph, opName, processGroup, linearOut, tensors.linearOut);
  }
}

/** Gathers the ranks' columns: `input` [tokens, n] of each rank -> `output` [tokens, ranks * n]. */
export function buildAllGather(
  graph: AtbGraph,
  opName: string,
  processGroup: string,
  input: string,
  output: string,
): void {
  const [gathered, transposed] = [`${output}_gathered`, `${output}_by_token`];
  graph.addOperation(
    new BaseOperation('AllGather', { processGroup }, `${opName}_all_gather`),
    [input],
    [gathered],
  );
  graph.addOperation(
    new BaseOperation('Transpose', { perm: [1, 0, 2] }, `${opName}_transpose`),
    [gathered],
    [transposed],
  );
  graph.addReshape(transposed, output, [dim(0), dim(1, 2)]);
}
