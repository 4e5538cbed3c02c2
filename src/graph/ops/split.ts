import { type OpDefinition, unless } from './definition.js';

/** x -> pieces along `splitDim`, equal ones without `splitSizes`, which asks for a non-negative `splitDim`. */
export interface SplitParam {
  readonly splitDim: number;
  readonly splitNum: 2 | 3;
  readonly splitSizes?: readonly number[];
}

export const split: OpDefinition<'Split', SplitParam> = {
  type: 'Split',
  arity: ({ splitNum }) => ({ inputs: 1, outputs: splitNum }),
  shapes(inputs, { splitDim, splitNum, splitSizes }) {
    const { dtype, shape } = inputs.at(0);
    const axis = inputs.axis(0, splitDim);
    const total = inputs.size(0, axis);
    const sizes = splitSizes ?? Array.from({ length: splitNum }, () => total / splitNum);
    if (sizes.length !== splitNum)
      inputs.fail(`splitSizes has ${sizes.length} entries for splitNum ${splitNum}`);
    if (!sizes.every(Number.isInteger)) inputs.fail(`${total} does not divide into ${splitNum} equal parts`);
    inputs.equal(
      'the sum of splitSizes',
      sizes.reduce((a, b) => a + b, 0),
      total,
    );
    return sizes.map((size) => ({ dtype, shape: shape.with(axis, size) }));
  },
  atb: {
    section: ({ splitNum }) => `SplitOperation${splitNum === 2 ? 'BISECT' : 'TRISECT'}`,
    problems: ({ splitDim, splitNum, splitSizes = [] }) => [
      ...unless(splitNum === 2 || splitNum === 3, `splitNum must be 2 or 3, found ${splitNum}`),
      ...unless(splitSizes.length === 0 || splitDim >= 0, 'splitDim must not be negative beside splitSizes'),
    ],
  },
};
