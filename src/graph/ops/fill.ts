import { type OpDefinition, unless } from './definition.js';
import { broadcastsTo } from './inputs.js';

/** x, mask -> x with `value[0]` where the mask is not 0; without mask, a constant f16 tensor of shape `outDim`. */
export interface FillParam {
  readonly withMask?: boolean;
  readonly value: readonly number[];
  readonly outDim?: readonly number[];
}

export const fill: OpDefinition<'Fill', FillParam> = {
  type: 'Fill',
  arity: ({ withMask }) => ({ inputs: withMask ? 2 : 0, outputs: 1 }),
  shapes: (inputs, { withMask = false, outDim = [] }) => [
    withMask ? inputs.at(0) : { dtype: 'f16', shape: outDim },
  ],
  atb: {
    section: ({ withMask = false }) => `FillOperation${withMask ? 'WithMask' : 'WithoutMask'}`,
    // fill_operation.cpp, ParamCheck and CheckIsTensorBroadcastable.
    problems: ({ withMask = false, value = [], outDim = [] }, [x, mask]) => [
      ...unless(value.length === 1, `value must hold one number, found [${value}]`),
      ...unless(
        withMask || (outDim.length >= 1 && outDim.length <= 8 && outDim.every((size) => size > 0)),
        `outDim must be 1 to 8 positive sizes, found [${outDim}]`,
      ),
      ...unless(
        x === undefined || mask === undefined || broadcastsTo(mask.shape, x.shape),
        `the mask [${mask?.shape}] must broadcast to [${x?.shape}]`,
      ),
    ],
  },
};
