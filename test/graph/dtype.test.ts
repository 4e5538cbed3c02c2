import { expect } from 'chai';
import { type Tensor, toBf16, toDType, toF16, toFloat32 } from '../../src/dtype.js';

const f16 = (...data: number[]): Tensor => ({
  dtype: 'f16',
  shape: [data.length],
  data: Uint16Array.from(data),
});

describe('float dtypes', () => {
  it('keep every f16 number on the way there and back', () => {
    const wrong: number[] = [];
    for (let bits = 0; bits < 65536; bits++) {
      const [value = 0] = toFloat32(f16(bits));
      if (!Number.isNaN(value) && toF16(value) !== bits) wrong.push(bits);
    }
    expect(wrong).to.deep.equal([]);
  });

  it('keep every bf16 number on the way there and back', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const values = toFloat32({ dtype: 'bf16', shape: [65536], data: all });
    const wrong = [...all].filter(
      (bits) => !Number.isNaN(values[bits]) && toBf16(values[bits] ?? 0) !== bits,
    );
    expect(wrong).to.deep.equal([]);
  });

  it('round to the nearest, ties to even', () => {
    expect([1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20].map(toF16)).to.deep.equal([
      0x3c00, 0x3c02, 0x3c01,
    ]);
    expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20].map(toBf16)).to.deep.equal([
      0x3f80, 0x3f82, 0x3f81,
    ]);
    expect([65519, 65520, -65520, 2 ** -25, 1.01 * 2 ** -25].map(toF16)).to.deep.equal([
      0x7bff, 0x7c00, 0xfc00, 0, 1,
    ]);
    expect(toBf16(3.4e38)).to.equal(0x7f80);
  });

  it('keep NaN, infinities and the sign of zero', () => {
    for (const dtype of ['f16', 'bf16'] as const) {
      const back = toFloat32(toDType(Float32Array.of(Number.NaN, Infinity, -Infinity, -0), [4], dtype));
      expect(back[0]).to.be.NaN;
      expect([...back.slice(1)]).to.deep.equal([Infinity, -Infinity, -0]);
    }
  });

  it('refuse other dtypes', () => {
    expect(() => toFloat32({ dtype: 'i32', shape: [1], data: Int32Array.of(1) })).to.throw(
      /i32 is not a float dtype/,
    );
  });
});
