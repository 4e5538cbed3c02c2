import { count, type OpDefinition } from './definition.js';

/**
 * Each channel's convolution over squares of rows that lie line by line, beyond whose edges there are zeros:
 * x[squares * side * side, channels], weight f32[kernel * kernel, channels], the taps of a column from its first line
 * on, one column behind the other, (bias f32[channels]) -> [squares * outSide * outSide, channels].
 */
export interface DepthwiseConvParam {
  /** Rows along a side of a square. */
  readonly side: number;
  /** Rows along each side that a result sees: 1 to 16. */
  readonly kernel: number;
  /** Rows from the first that a result sees to the first of the next result: 1 to 16. */
  readonly stride: number;
  /** Zeros before the first row of a line, and before the first line: fewer than `kernel`. */
  readonly before: number;
  /** Results along a side, of which the last one sees some row. */
  readonly outSide: number;
  readonly hasBias?: boolean;
}

export const depthwiseConv: OpDefinition<'DepthwiseConv', DepthwiseConvParam> = {
  type: 'DepthwiseConv',
  keys: {
    side: 'integer',
    kernel: 'integer',
    stride: 'integer',
    before: 'integer',
    outSide: 'integer',
    hasBias: 'bool',
  },
  arity: ({ hasBias }) => ({ inputs: 2 + count(hasBias), outputs: 1 }),
  shapes(inputs, { side, kernel, stride, before, outSide, hasBias }) {
    const { dtype } = inputs.at(0, 2);
    const [rows, channels] = [inputs.size(0, 0), inputs.size(0, 1)];
    const squares = rows / (side * side);
    if (!Number.isInteger(squares)) inputs.fail(`${rows} rows must be squares of ${side} x ${side}`);
    if (before >= kernel || (outSide - 1) * stride - before >= side)
      inputs.fail(`each of ${outSide} x ${outSide} results must see a row of the square`);
    inputs.sameShape(1, [kernel * kernel, channels]);
    if (hasBias) inputs.sameShape(2, [channels]);
    return [{ dtype, shape: [squares * outSide * outSide, channels] }];
  },
};
