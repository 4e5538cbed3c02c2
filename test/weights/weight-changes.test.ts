import { expect } from 'chai';
import type { DType } from '../../src/dtype.js';
import type { FilePart } from '../../src/native/binding.js';
import {
  constantWeight,
  expertOf,
  named,
  plus,
  rowsOf,
  times,
  transposed,
  unitRows,
  withRowOrder,
} from '../../src/weights/weight-changes.js';
import { uniqueWeights } from '../../src/weights/weight-identity.js';
import { concatRows, type TensorRef, weightBytes } from '../../src/weights/weights.js';
import { failure } from './safetensors-writer.js';

function ref(shape: readonly number[], offset = 0, dtype: DType = 'bf16'): TensorRef {
  return { name: 'w', dtype, shape, parts: [{ file: 'f', offset, dtype, shape }] };
}
const declared: TensorRef = { name: 'w', dtype: 'bf16', shape: [6, 4], parts: [] };
const partsOf = ({ parts }: TensorRef): FilePart[] => parts.filter((part) => part.file !== undefined);
const order = (...rows: number[]): Int32Array => Int32Array.from(rows);

describe('changes of a weight at load', () => {
  it('take rows of a packed tensor by where they lie', () => {
    const rows = rowsOf(ref([6, 4], 100), 2, 3);
    expect(rows).to.deep.include({ name: 'w[2:5]', shape: [3, 4] });
    expect(partsOf(rows)).to.deep.equal([{ file: 'f', offset: 116, dtype: 'bf16', shape: [3, 4] }]);
    expect(weightBytes(rows)).to.equal(24);
    expect(rowsOf(ref([6]), 1, 2, 'v')).to.deep.include({ name: 'v', shape: [2] });
    // Across parts.
    const both = rowsOf(concatRows('p', [ref([4, 2], 0), ref([5, 2], 50)]), 3, 4);
    expect(partsOf(both).map(({ offset, shape }) => [offset, ...shape])).to.deep.equal([
      [12, 1, 2],
      [50, 3, 2],
    ]);
  });

  it('order rows, and follow one another', () => {
    const twice = withRowOrder(withRowOrder(ref([6, 4]), order(5, 4, 3, 2, 1, 0)), order(1, 1, 3));
    expect(twice.shape).to.deep.equal([3, 4]);
    expect(partsOf(twice)[0]?.rowOrder).to.deep.equal(order(4, 4, 2));
    expect(partsOf(rowsOf(twice, 1, 2))[0]?.rowOrder).to.deep.equal(order(4, 2));
    expect(weightBytes(twice)).to.equal(24);
    expect(withRowOrder(ref([6, 4]), undefined)).to.deep.equal(ref([6, 4]));
    // What stays in place is read as it lies.
    expect(withRowOrder(ref([6, 4]), order(0, 1, 2, 3, 4, 5)).parts).to.deep.equal(ref([6, 4]).parts);
    expect(withRowOrder(ref([6, 4]), order(2, 3)).parts).to.deep.equal(rowsOf(ref([6, 4]), 2, 2).parts);
  });

  it('order rows of several parts', () => {
    const packed = concatRows('p', [ref([2, 2], 0), ref([3, 2], 50), constantWeight('c', [2, 2], 1)]);
    const { parts, shape } = withRowOrder(packed, order(1, 0, 4, 2, 0, 5, 6));
    expect(shape).to.deep.equal([7, 2]);
    expect(parts).to.deep.equal([
      { file: 'f', offset: 0, dtype: 'bf16', shape: [2, 2], rowOrder: order(1, 0) },
      { file: 'f', offset: 50, dtype: 'bf16', shape: [3, 2], rowOrder: order(2, 0) },
      { file: 'f', offset: 0, dtype: 'bf16', shape: [1, 2] },
      { value: 1, dtype: 'f32', shape: [2, 2] },
    ]);
  });

  it('transpose a matrix, before anything else about its rows', async () => {
    const matrix = transposed(ref([4, 6]));
    expect(matrix.shape).to.deep.equal([6, 4]);
    expect(partsOf(matrix)[0]).to.deep.include({ shape: [4, 6], transposed: true });
    expect(partsOf(rowsOf(matrix, 2, 3))[0]).to.deep.include({ shape: [4, 6], rowOrder: order(2, 3, 4) });
    expect(transposed(matrix)).to.deep.equal(ref([4, 6]));
    await failure('WEIGHT_CHANGE_INVALID', () => transposed(ref([4])));
    expect(partsOf(transposed(withRowOrder(ref([4, 3]), order(1, 0))))).to.deep.equal(
      [order(3, 0), order(4, 1), order(5, 2)].map((rowOrder) => ({
        ...partsOf(ref([4, 3]))[0],
        shape: [12],
        rowOrder,
      })),
    );
    await failure('WEIGHT_CHANGE_INVALID', () => transposed(withRowOrder(matrix, order(1, 0))));
    await failure('WEIGHT_CHANGE_INVALID', () => transposed(concatRows('p', [ref([1, 2]), ref([1, 2])])));
  });

  it('add and multiply, in the order in which they are said', async () => {
    expect(partsOf(plus(ref([4]), 1))[0])
      .to.include({ plus: 1 })
      .and.not.have.property('times');
    expect(partsOf(plus(times(ref([4]), 3), 1))[0]).to.include({ times: 3, plus: 1 });
    expect(partsOf(times(plus(ref([4]), 1), 3))[0]).to.include({ times: 3, plus: 3 });
    expect(times(times(plus(ref([4]), 0), 4), 0.25)).to.deep.equal(ref([4]));
    expect(plus(times(constantWeight('c', [4], 2), 3), 1).parts).to.deep.equal([
      { value: 7, dtype: 'f32', shape: [4] },
    ]);
    const error = await failure('WEIGHT_CHANGE_INVALID', () => times(ref([4], 0, 'i8'), 2));
    expect(error.message).to.match(/times of weight "w" wants floats, found "?i8/);
    await failure('WEIGHT_CHANGE_INVALID', () => plus(ref([4]), Number.NaN));
    await failure('WEIGHT_CHANGE_INVALID', () => constantWeight('c', [1], Infinity));
  });

  it('make rows of length 1, before factors and after transposes', async () => {
    expect(partsOf(unitRows(transposed(ref([6, 4]))))[0]).to.include({ transposed: true, unitRows: true });
    expect(partsOf(times(unitRows(ref([6, 4])), 3))[0]).to.include({ times: 3, unitRows: true });
    for (const change of [
      () => unitRows(ref([6])),
      () => unitRows(ref([6, 4], 0, 'i8')),
      () => unitRows(times(ref([6, 4]), 3)),
      () => unitRows(constantWeight('c', [6, 4], 2)),
      () => transposed(unitRows(ref([6, 4]))),
    ])
      await failure('WEIGHT_CHANGE_INVALID', change);
  });

  it('take one expert of a stack, its bias, and one that is stored transposed', async () => {
    expect(expertOf(ref([8, 3, 5], 10), 2)).to.deep.equal({
      name: 'w[2]',
      dtype: 'bf16',
      shape: [3, 5],
      parts: [{ file: 'f', offset: 10 + 2 * 30, dtype: 'bf16', shape: [3, 5] }],
    });
    expect(expertOf(ref([8, 3]), 7).parts).to.deep.equal([
      { file: 'f', offset: 42, dtype: 'bf16', shape: [3] },
    ]);
    expect(transposed(expertOf(ref([8, 3, 5]), 1))).to.deep.include({ shape: [5, 3] });
    expect(partsOf(expertOf(times(ref([8, 3, 5]), 2), 1))[0]).to.include({ times: 2, offset: 30 });
    for (const wrong of [-1, 8, 0.5])
      await failure('WEIGHT_CHANGE_INVALID', () => expertOf(ref([8, 3, 5]), wrong));
    await failure('WEIGHT_CHANGE_INVALID', () => expertOf(ref([8]), 0));
  });

  it('hold for declared weights, which have shapes alone', () => {
    expect(rowsOf(declared, 1, 2)).to.deep.include({ shape: [2, 4], parts: [] });
    expect(withRowOrder(declared, order(1, 1))).to.deep.include({ shape: [2, 4], parts: [] });
    expect(transposed(declared)).to.deep.include({ shape: [4, 6], parts: [] });
    expect(plus(times(declared, 2), 1)).to.deep.equal(declared);
    expect(expertOf({ ...declared, shape: [2, 3, 4] }, 1)).to.deep.include({ shape: [3, 4], parts: [] });
    expect(concatRows('p', [declared, constantWeight('c', [1, 4], 0)]).parts).to.deep.equal([]);
  });

  it('refuse rows that are not there, and the integers of a linear', async () => {
    for (const [from, count] of [
      [-1, 2],
      [5, 2],
      [0, 7],
      [0.5, 1],
    ] as const)
      await failure('WEIGHT_CHANGE_INVALID', () => rowsOf(ref([6, 4]), from, count));
    const error = await failure('WEIGHT_CHANGE_INVALID', () => withRowOrder(ref([6, 4]), order(0, 6)));
    expect(error.message).to.contain('rows within [0, 6), found 6');
    await failure('WEIGHT_CHANGE_INVALID', () => withRowOrder(ref([]), order(0)));
    const integers: TensorRef = { ...ref([6, 4]), quantized: { role: 'scale', activations: 'float' } };
    for (const change of [
      () => rowsOf(integers, 0, 1),
      () => withRowOrder(integers, order(0)),
      () => transposed(integers),
      () => times(integers, 2),
    ])
      expect((await failure('WEIGHT_CHANGE_INVALID', change)).message).to.contain('Linear.load');
  });
});

describe('the weights of a model', () => {
  it('are listed once, however many read them', () => {
    const other = { ...ref([6, 4], 48), name: 'v' };
    expect(uniqueWeights([ref([6, 4]), other, ref([6, 4])])).to.deep.equal([ref([6, 4]), other]);
  });

  it('must not share a name when they differ', async () => {
    const whole = ref([6, 4]);
    for (const other of [
      named(rowsOf(whole, 0, 3), 'w'),
      withRowOrder(whole, order(5, 4, 3, 2, 1, 0)),
      plus(whole, 1),
      times(whole, 2),
      transposed(ref([4, 6])),
      ref([6, 4], 1),
    ]) {
      const error = await failure('WEIGHT_NAME_TWICE', () => uniqueWeights([whole, other]));
      expect(error.message).to.contain('"w"');
    }
    expect(uniqueWeights([whole, named(plus(whole, 1), 'v')])).to.have.length(2);
  });
});
