import { fixed, type OpDefinition } from './definition.js';
import { type AclDataType, DTYPE_OF_ACL } from './inputs.js';

/** x -> the same numbers in another dtype. */
export interface CastParam {
  readonly dtype: AclDataType;
}

export const cast: OpDefinition<'Cast', CastParam> = {
  type: 'Cast',
  arity: fixed(1, 1),
  shapes(inputs, { dtype }) {
    return [
      { dtype: DTYPE_OF_ACL[dtype] ?? inputs.fail(`cannot cast to ${dtype}`), shape: inputs.at(0).shape },
    ];
  },
};
