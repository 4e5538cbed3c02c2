import { fixed, type OpDefinition, unless } from './definition.js';
import type { TensorDesc } from './inputs.js';

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
  atb: { problems },
};

/** ATB, rope_operation.cpp: ParamCheck, DimCheck, HiddenSizeCheck. What it calls headdim is the width of cos. */
function problems({ rotaryCoeff, cosFormat = 0 }: RopeParam, inputs: readonly TensorDesc[]): string[] {
  const width = inputs[2]?.shape.at(-1) ?? 0;
  const [q = 0, k = 0] = inputs.slice(0, 2).map(({ shape }) => hiddenSize(shape));
  const known = [2, 4, width];
  const [ofQ, ofK] = inputs.slice(0, 2).map(({ shape }) => tokens(shape));
  return [
    ...unless(
      known.includes(rotaryCoeff),
      `rotaryCoeff must be one of ${known.join(', ')}, found ${rotaryCoeff}`,
    ),
    ...unless(width % rotaryCoeff === 0, `the width of cos, ${width}, must be a multiple of ${rotaryCoeff}`),
    ...unless(cosFormat === 0 || cosFormat === 1, `cosFormat must be 0 or 1, found ${cosFormat}`),
    ...unless(width >= 16 && width <= 4096, `the width of cos must be from 16 to 4096, found ${width}`),
    ...unless(ofQ === ofK, `q and k must have the same tokens, found ${ofQ} and ${ofK}`),
    ...unless(q % k === 0, `the size of q, ${q}, must be a multiple of k's, ${k}`),
  ];
}

/** Numbers of a token: of [tokens, hidden] or [batch, tokens, heads, size]. */
const hiddenSize = (shape: readonly number[]): number =>
  shape.slice(shape.length === 4 ? 2 : 1).reduce((product, size) => product * size, 1);

const tokens = ([first = 0, second = 0, ...others]: readonly number[]): number =>
  others.length === 0 ? first : first * second;
