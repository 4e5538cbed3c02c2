import { expect } from 'chai';
import { toFloat32 } from '../../src/dtype.js';
import { causalMask, decodeMask } from '../../src/step-inputs/mask-values.js';

/** Rows of a mask: "." where a query looks. */
const drawn = (mask: Parameters<typeof toFloat32>[0], columns: number): string[] => {
  const cells = Array.from(toFloat32(mask), (value) => (value === 0 ? '.' : 'x')).join('');
  return cells.match(new RegExp(`.{${columns}}`, 'g')) ?? [];
};

describe('masks', () => {
  it('hide the future', () => {
    expect(drawn(causalMask(4, 'bf16'), 4)).to.deep.equal(['.xxx', '..xx', '...x', '....']);
  });

  it('hide what is outside the window; the query itself counts', () => {
    expect(drawn(causalMask(4, 'f32', 2), 4)).to.deep.equal(['.xxx', '..xx', 'x..x', 'xx..']);
    expect(drawn(decodeMask([2, 4], 5, 'f16', 3), 5)).to.deep.equal(['..xxx', 'x...x']);
    expect(decodeMask([2, 4], 5, 'f16', 3).shape).to.deep.equal([2, 1, 5]);
  });

  it('hold 1 in bf16, which ATB multiplies, and the lowest number in f16 and f32, which it adds', () => {
    const blocked = (dtype: 'bf16' | 'f16' | 'f32') => toFloat32(causalMask(2, dtype))[1];
    expect([blocked('bf16'), blocked('f16'), blocked('f32')]).to.deep.equal([
      1,
      -65504,
      Math.fround(-3.4028234663852886e38),
    ]);
  });
});
