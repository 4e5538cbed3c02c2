import { fixed, type OpDefinition, unless } from './definition.js';

/**
 * q[tokens, heads * headDim], k, cos[tokens, headDim], sin, seqLen[batch] -> q, k. `rotaryCoeff` 2: halves are rotated
 * (LLaMA); 4: the halves of each half, each with tables of its own; the head size: pairs of neighbours.
 */
export interface RopeParam {
  readonly rotaryCoeff: number;
  readonly cosFormat?: number;
}

export const rope: OpDefinition<'Rope', RopeParam> = {
  type: 'Rope',
  arity: fixed(5, 2),
  shapes(inputs) {
    const [q, k, cos] = [inputs.at(0, 2, 4), inputs.at(1, 2, 4), inputs.at(2, 2)];
    inputs.sameDtype(0, 1);
    inputs.sameShape(3, cos.shape);
    const tokens = inputs.size(0, 0) * (q.shape.length === 4 ? inputs.size(0, 1) : 1);
    inputs.equal('rows of cos', inputs.size(2, 0), tokens);
    for (const index of [0, 1]) {
      if (inputs.size(index, -1) % inputs.size(2, 1) !== 0) {
        inputs.fail(
          `input ${index}, [${inputs.at(index).shape}], is not made of heads of size ${inputs.size(2, 1)}`,
        );
      }
    }
    inputs.at(4, 1);
    return [q, k];
  },
  atb: {
    problems({ rotaryCoeff }, inputs) {
      const known = [2, 4, inputs[2]?.shape.at(-1) ?? 0];
      return unless(
        known.includes(rotaryCoeff),
        `rotaryCoeff must be one of ${known.join(', ')}, found ${rotaryCoeff}`,
      );
    },
  },
};
