import type { OpDefinition } from './definition.js';

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
  atb: { section: ({ withMask = false }) => `FillOperation${withMask ? 'WithMask' : 'WithoutMask'}` },
};
