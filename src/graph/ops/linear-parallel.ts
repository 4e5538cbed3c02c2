import { count, type OpDefinition, unless } from './definition.js';
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
  shapes(inputs, { transWeight, hasResidual, type = 'LINEAR_ALL_REDUCE', rankSize }) {
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
    problems: ({ rank, rankSize }) =>
      unless(rank >= 0 && rank < rankSize, `rank must be below rankSize, found ${rank} of ${rankSize}`),
  },
};
