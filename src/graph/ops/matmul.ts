import type { DType } from '../../dtype.js';
import type { Inputs, TensorDesc } from './inputs.js';

/** x[.., k] times weight[n, k], or [k, n] when not transposed; a batched weight has the batch of x in front. */
export function matmulShapes(inputs: Inputs, transposeB: boolean, dtype: DType): TensorDesc[] {
  const x = inputs.at(0, 2, 3);
  if (inputs.at(1, 2, 3).shape.length === 3)
    inputs.equal("the weight's batch", inputs.size(1, 0), inputs.size(0, -3));
  const [n, k] = transposeB
    ? [inputs.size(1, -2), inputs.size(1, -1)]
    : [inputs.size(1, -1), inputs.size(1, -2)];
  inputs.equal("the weight's inner size", k, inputs.size(0, -1));
  return [{ dtype, shape: [...x.shape.slice(0, -1), n] }];
}
