import { toDType } from '../../dtype.js';
import type { EncoderInput } from '../../media/index.js';
import type { StepInput } from '../step-input.js';

/** By what the rows of an encoder turn, in the names of its rotary attention. */
export const ENCODER_ROTARY = { cos: 'cos_embedding', sin: 'sin_embedding' } as const;

/**
 * `cos_embedding` and `sin_embedding` [rows, headDim] in the model's dtype, both halves of a row equal. `anglesOf`: by
 * what the pairs of each row turn, [rows, headDim / 2].
 */
export function encoderRotary(
  headDim: number,
  anglesOf: (inputs: readonly EncoderInput[]) => Float32Array,
): StepInput {
  const names = ENCODER_ROTARY;
  const half = headDim / 2;
  return {
    names: Object.values(names),
    describe({ rows, dtype }) {
      const desc = { dtype, shape: [rows, headDim] };
      return { [names.cos]: desc, [names.sin]: desc };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const angles = anglesOf(encoderInputs);
      const table = (of: (angle: number) => number) => {
        const values = new Float32Array(2 * angles.length);
        for (const [index, angle] of angles.entries()) {
          const at = 2 * index - (index % half);
          values[at] = of(angle);
          values[at + half] = values[at] as number;
        }
        return toDType(values, [values.length / headDim, headDim], dtype);
      };
      return { [names.cos]: table(Math.cos), [names.sin]: table(Math.sin) };
    },
  };
}
