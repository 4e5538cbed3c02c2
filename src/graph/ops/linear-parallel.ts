import { count, type OpDefinition, onlyKnown, unless } from './definition.js';
import type { TensorDesc } from './inputs.js';
import { matmulShapes } from './matmul.js';

/** x[tokens, k], weight[n, k], (residual) -> matmul and collective in one operation. */
export interface LinearParallelParam {
  readonly type?: 'LINEAR_ALL_REDUCE' | 'LINEAR_REDUCE_SCATTER' | 'ALL_GATHER_LINEAR' | 'PURE_LINEAR';
  readonly backend: 'hccl' | 'lccl' | 'lcoc' | 'mc2';
  readonly rank: number;
  readonly rankSize: number;
  readonly rankRoot?: number;
  readonly rankTableFile?: string;
  readonly commDomain?: string;
  readonly transWeight: boolean;
  readonly hasResidual?: boolean;
}

export const linearParallel: OpDefinition<'LinearParallel', LinearParallelParam> = {
  type: 'LinearParallel',
  arity: ({ hasResidual }) => ({ inputs: 2 + count(hasResidual), outputs: 1 }),
  shapes(inputs, { transWeight = true, hasResidual, type = 'LINEAR_ALL_REDUCE', rankSize }) {
    inputs.sameDtype(0, 1);
    const { dtype } = inputs.at(0);
    const [rows = 0, ...rest] = matmulShapes(inputs, transWeight, dtype)[0]?.shape ?? [];
    const factor =
      type === 'LINEAR_REDUCE_SCATTER' ? 1 / rankSize : type === 'ALL_GATHER_LINEAR' ? rankSize : 1;
    if (!Number.isInteger(rows * factor)) inputs.fail(`${rows} rows do not divide among ${rankSize} ranks`);
    const shape = [rows * factor, ...rest];
    if (hasResidual) inputs.sameShape(2, shape);
    return [{ dtype, shape }];
  },
  atb: {
    section({ backend, hasResidual = false }) {
      const lcoc = backend === 'lcoc' ? 'Lcoc' : '';
      return hasResidual
        ? `LinearParallel${lcoc && 'Cover'}OperationWithResidual${lcoc}`
        : `LinearParallelOperationWithoutResidual${lcoc}`;
    },
    problems,
  },
};

/** What our graphs do not have: a second output, integers, other dtypes of the result. */
const KNOWN_FORM = {
  keepIntermediate: false,
  quantType: 'QUANT_TYPE_UNDEFINED',
  outDataType: 'ACL_DT_UNDEFINED',
};

/** linear_parallel_operation.cpp: CreateOperation and CheckType; operation_util.h, DistributedInitCheck. */
function problems(param: LinearParallelParam, [, weight]: readonly TensorDesc[]): string[] {
  const { backend, rank = 0, rankSize = 0, rankRoot = 0 } = param;
  const { type = 'LINEAR_ALL_REDUCE', commMode }: { type?: string; commMode?: string } = param;
  const byBackend = backend === 'lcoc' ? LCOC_TYPES : ['LINEAR_ALL_REDUCE'];
  return [
    ...unless(rank >= 0 && rank < rankSize, `rank must be below rankSize, found ${rank} of ${rankSize}`),
    ...unless(
      rankRoot >= 0 && rankRoot < rankSize,
      `rankRoot must be below rankSize, found ${rankRoot} of ${rankSize}`,
    ),
    ...unless(
      backend !== 'lcoc' || Number.isInteger(Math.log2(rankSize)),
      `lcoc takes powers of two as rankSize, found ${rankSize}`,
    ),
    ...unless(byBackend.includes(type), `${backend} takes ${byBackend.join(', ')}, found ${type}`),
    ...unless(commMode !== 'COMM_UNDEFINED', 'commMode must be defined'),
    ...unless(weight?.shape.length !== 3 || weight.shape[0] === 1, 'the weight must be one matrix'),
    ...onlyKnown(param, KNOWN_FORM),
  ];
}

const LCOC_TYPES = ['LINEAR_ALL_REDUCE', 'LINEAR_REDUCE_SCATTER', 'ALL_GATHER_LINEAR', 'PURE_LINEAR'];
