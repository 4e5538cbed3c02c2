import { expect } from 'chai';
import { type Tensor, toFloat32 } from '../../src/dtype.js';
import { SPLITFUSE } from '../../src/graph/graph-kind.js';
import { LATENT_MASK, latentMask, type RunFacts, type Step } from '../../src/step-inputs/index.js';
import { decodeMask, type MaskReader, squareMask } from '../../src/step-inputs/mask-values.js';

/** Rows of a mask: "." where a query looks. */
const drawn = (mask: Parameters<typeof toFloat32>[0], columns: number): string[] => {
  const cells = Array.from(toFloat32(mask), (value) => (value === 0 ? '.' : 'x')).join('');
  return cells.match(new RegExp(`.{${columns}}`, 'g')) ?? [];
};

const reader = 'PagedAttention';

describe('masks', () => {
  it('hide the future', () => {
    const mask = squareMask(4, { reader, dtype: 'bf16' });
    expect(drawn(mask, 4)).to.deep.equal(['.xxx', '..xx', '...x', '....']);
  });

  it('hide what is outside the window; the query itself counts', () => {
    const square = squareMask(4, { reader, dtype: 'f32', windowSize: 2 });
    expect(drawn(square, 4)).to.deep.equal(['.xxx', '..xx', 'x..x', 'xx..']);
    const rows = decodeMask([2, 4], 5, { reader, dtype: 'f16', windowSize: 3 });
    expect(drawn(rows, 5)).to.deep.equal(['..xxx', 'x...x']);
    expect(rows.shape).to.deep.equal([2, 1, 5]);
  });

  it('hide earlier chunks of positions, whatever token of its own chunk a query is', () => {
    const square = squareMask(5, { reader, dtype: 'f32', chunkSize: 2 });
    expect(drawn(square, 5)).to.deep.equal(['.xxxx', '..xxx', 'xx.xx', 'xx..x', 'xxxx.']);
    const rows = decodeMask([2, 3, 4], 4, { reader, dtype: 'bf16', chunkSize: 2 });
    expect(drawn(rows, 4)).to.deep.equal(['..xx', 'xx.x', 'xx..']);
  });

  it('of latent attention have a row for each token of a step, and multiply as SelfAttention does', () => {
    // Two sequences, of which the step brings the last two tokens and the last one.
    const step = { kind: SPLITFUSE, positions: Int32Array.of(1, 2, 0), seqLens: Int32Array.of(3, 1) } as Step;
    const run = { dtype: 'bf16' } as RunFacts;
    const mask = latentMask.make?.(step, run)[LATENT_MASK] as Tensor;
    expect(mask.shape).to.deep.equal([3, 3]);
    expect(drawn(mask, 3)).to.deep.equal(['..x', '...', '.xx']);
    expect(toFloat32(mask)[2]).to.equal(1);
    expect(latentMask.recipes?.(SPLITFUSE)[LATENT_MASK]).to.deep.include({
      form: 'tokens',
      reader: 'LatentAttention',
    });
  });

  const blocked = (of: MaskReader) =>
    (['bf16', 'f16', 'f32'] as const).map((dtype) => [
      toFloat32(squareMask(2, { reader: of, dtype }))[1],
      toFloat32(decodeMask([1], 2, { reader: of, dtype, windowSize: 1 }))[1],
    ]);
  const lowest = Math.fround(-3.4028234663852886e38);

  it('of SelfAttention hold 1 in bf16, which ATB multiplies, and the lowest number where it adds', () => {
    expect(blocked('SelfAttention')).to.deep.equal([
      [1, 1],
      [-65504, -65504],
      [lowest, lowest],
    ]);
  });

  it('of PagedAttention hold -10000 in bf16, rounded, because ATB adds them in every dtype', () => {
    expect(blocked('PagedAttention')).to.deep.equal([
      [-9984, -9984],
      [-65504, -65504],
      [lowest, lowest],
    ]);
  });
});
