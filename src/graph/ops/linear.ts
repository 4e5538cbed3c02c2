import { count, type OpDefinition } from './definition.js';
import { type AclDataType, DTYPE_OF_ACL } from './inputs.js';
import { matmulShapes } from './matmul.js';

/** x[tokens, k], weight[n, k] (`transposeB`), (bias[n]) -> [tokens, n]. */
export interface LinearParam {
  readonly transposeA?: boolean;
  /** ATB's default is true: the weight is [n, k]. */
  readonly transposeB: boolean;
  /** ATB's default is true. */
  readonly hasBias: boolean;
  /** Adds to the third input, f32, and gives f32. */
  readonly enAccum?: boolean;
  readonly outDataType?: AclDataType;
}

export const linear: OpDefinition<'Linear', LinearParam> = {
  type: 'Linear',
  arity: ({ hasBias, enAccum }) => ({ inputs: 2 + count(hasBias || enAccum), outputs: 1 }),
  shapes(inputs, { transposeA, transposeB, hasBias, enAccum, outDataType }) {
    if (transposeA) inputs.fail('transposeA is not supported');
    inputs.sameDtype(0, 1);
    const given = (outDataType && DTYPE_OF_ACL[outDataType]) ?? inputs.at(0).dtype;
    const [out = inputs.at(0)] = matmulShapes(inputs, transposeB, enAccum ? 'f32' : given);
    if (enAccum) inputs.sameShape(2, out.shape);
    else if (hasBias) inputs.equal('the bias size', inputs.size(2, -1), out.shape.at(-1) ?? 0);
    return [out];
  },
  matrix: () => ({ input: 1, layout: 'linear' }),
  atb: {
    section: ({ hasBias = true, enAccum = false }) =>
      enAccum ? 'LinearOperationMatmulAccum' : `LinearOperationMatmul${hasBias ? 'WithBias' : ''}Atlas800IA2`,
  },
};
