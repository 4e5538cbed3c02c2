import { fixed, type OpDefinition, unless } from './definition.js';

/** x[n, ...], indices[m] -> rows of x along `axis`. */
export interface GatherParam {
  readonly axis: number;
  readonly batchDims?: number;
}

export const gather: OpDefinition<'Gather', GatherParam> = {
  type: 'Gather',
  arity: fixed(2, 1),
  shapes(inputs, { axis, batchDims = 0 }) {
    const x = inputs.at(0);
    const at = inputs.axis(0, axis);
    for (let batch = 0; batch < batchDims; batch++) {
      inputs.equal(`axis ${batch} of the indices`, inputs.size(1, batch), inputs.size(0, batch));
    }
    const indices = inputs.at(1).shape.slice(batchDims);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, at), ...indices, ...x.shape.slice(at + 1)] }];
  },
  atb: {
    // gather_operation.cpp, ParamCheck.
    problems: ({ axis, batchDims = 0 }) =>
      unless(
        0 <= batchDims && batchDims <= axis,
        `axis must not be negative, nor batchDims outside 0 to axis, found ${axis} and ${batchDims}`,
      ),
  },
};
