import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { rotaryRowOrder } from '../../src/step-inputs/rotary/rotary-row-order.js';
import { consecutiveRows, groupedRows } from '../../src/weights/row-orders.js';

const LAYOUTS = [
  { headDim: 8, rotaryDim: 8, interleaved: false },
  { headDim: 8, rotaryDim: 8, interleaved: true },
  { headDim: 8, rotaryDim: 4, interleaved: false },
  { headDim: 8, rotaryDim: 2, interleaved: true },
  { headDim: 16, rotaryDim: 12, interleaved: false },
  { headDim: 16, rotaryDim: 4, interleaved: true },
];

/** Turns the pairs of a head by their angles. */
function rotated(
  head: readonly number[],
  angles: readonly number[],
  pairOf: (i: number) => readonly [number, number],
) {
  const result = [...head];
  for (const [i, angle] of angles.entries()) {
    const [a, b] = pairOf(i);
    const [x, y] = [head[a] as number, head[b] as number];
    result[a] = x * Math.cos(angle) - y * Math.sin(angle);
    result[b] = y * Math.cos(angle) + x * Math.sin(angle);
  }
  return result;
}
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

describe('the row order of rotary layouts', () => {
  for (const { headDim, rotaryDim, interleaved } of LAYOUTS) {
    it(`keeps scores: ${rotaryDim} of ${headDim} sizes, ${interleaved ? 'neighbours' : 'halves'}`, () => {
      const heads = 3;
      const order = rotaryRowOrder({ heads, headDim, rotaryDim, interleaved });
      expect(order === undefined).to.equal(rotaryDim === headDim && !interleaved);
      const rows = order ?? Int32Array.from({ length: heads * headDim }, (_, row) => row);
      expect([...rows].sort((a, b) => a - b)).to.deep.equal([...rows.keys()]);
      const [query, key] = [1, 2].map((seed) => [...rows].map((_, i) => Math.sin(seed * 37 + i * i)));
      const pair = (i: number) =>
        (interleaved ? [2 * i, 2 * i + 1] : [i, i + rotaryDim / 2]) as [number, number];
      for (let head = 0; head < heads; head++) {
        const own = rows.subarray(head * headDim, (head + 1) * headDim);
        expect([...own].every((row) => Math.floor(row / headDim) === head)).to.equal(true);
        const scores = [3, 11].map((position) => {
          const angles = Array.from({ length: rotaryDim / 2 }, (_, i) => position / 7 ** i);
          const all = [...angles, ...Array<number>(headDim / 2 - angles.length).fill(0)];
          return [query, key].map((values = []) => ({
            reference: rotated(values.slice(head * headDim, (head + 1) * headDim), angles, pair),
            found: rotated(
              [...own].map((row) => values[row] as number),
              all,
              (i) => [i, i + headDim / 2],
            ),
          }));
        });
        const [q, k] = [scores[0]?.[0], scores[1]?.[1]];
        expect(dot(q?.found ?? [], k?.found ?? [])).to.be.closeTo(
          dot(q?.reference ?? [], k?.reference ?? [1]),
          1e-12,
        );
      }
    });
  }

  it('puts halves that turn by an axis each in the order of rows, then columns', () => {
    const order = rotaryRowOrder({ heads: 2, headDim: 8, rotaryDim: 8, interleaved: false, axial: true });
    const head = [4, 5, 0, 1, 6, 7, 2, 3];
    expect([...(order ?? [])]).to.deep.equal([...head, ...head.map((row) => 8 + row)]);
  });

  it('refuses sizes that do not pair', () => {
    for (const [headDim, rotaryDim] of [
      [8, 3],
      [8, 10],
      [7, 4],
      [8, 0],
    ] as const)
      expect(() => rotaryRowOrder({ heads: 1, headDim, rotaryDim, interleaved: false })).to.throw(
        AtbError,
        /must be an even number/,
      );
  });
});

describe('rows of packed projections', () => {
  it('lie one below the other', () => {
    expect(consecutiveRows([8, 4, 4])).to.deep.equal([
      { of: 16, from: 0 },
      { of: 16, from: 8 },
      { of: 16, from: 12 },
    ]);
  });

  it('or alternate in groups: two queries, a key and a value of each key head', () => {
    const [query, key, value] = groupedRows({ groups: 2, headsPerGroup: [2, 1, 1], headDim: 2 });
    expect(query).to.deep.equal({ of: 16, order: Int32Array.of(0, 1, 2, 3, 8, 9, 10, 11) });
    expect(key).to.deep.equal({ of: 16, order: Int32Array.of(4, 5, 12, 13) });
    expect(value).to.deep.equal({ of: 16, order: Int32Array.of(6, 7, 14, 15) });
  });
});
