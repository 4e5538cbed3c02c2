import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { type PictureSize, patchesOf, slicePlan, slicesOf } from '../../src/media/index.js';
import { bucketsByProduct, bucketsByQuotient, bucketsOf } from '../../src/step-inputs/index.js';
import { picture, pictureFixtures, sha256 } from './pictures.js';

describe('slices of pictures', () => {
  const inPatches = ({ width, height }: PictureSize) => [height / 14, width / 14];

  it(`cuts pictures of ${pictureFixtures.slices.length} sizes into the slices and patches of transformers, bit for bit`, () => {
    for (const [
      width,
      height,
      seed,
      maxSlices,
      resolution,
      whole,
      slices,
      expected,
    ] of pictureFixtures.slices) {
      const limits = { maxSlices, resolution, patchSize: 14 };
      const { pictures, grid } = slicesOf(picture(width, height, seed), limits, 'it');
      const found = grid ? [grid.rows, grid.columns, ...inPatches(grid.size)] : null;
      expect(found, `${width} x ${height}`).to.deep.equal(slices);
      expect(inPatches(pictures[0] as PictureSize)).to.deep.equal(whole);
      const half = [0.5, 0.5, 0.5];
      const data = pictures.map((one) => {
        const values = { rescale: 1 / 255, mean: half, std: half };
        const sizes = { patchSize: 14, temporalPatchSize: 1, mergeSize: 1 };
        return new Uint8Array(patchesOf([one], values, sizes).data.buffer);
      });
      expect(sha256(Buffer.concat(data)).slice(0, 16), `${width} x ${height}`).to.equal(expected);
    }
  });

  it(`brings ${pictureFixtures.slice_sizes.length} sizes to those of transformers, also between two grids`, () => {
    for (const [width, height, maxSlices, whole, slices] of pictureFixtures.slice_sizes) {
      const limits = { maxSlices, resolution: 448, patchSize: 14 };
      const { whole: found, grid } = slicePlan({ width, height }, limits, 'it');
      expect(inPatches(found), `${width} x ${height}`).to.deep.equal(whole);
      expect(grid ? [grid.rows, grid.columns, ...inPatches(grid.size)] : null).to.deep.equal(slices);
    }
  });

  it('leaves small pictures as small where that is asked for', () => {
    const limits = { maxSlices: 9, resolution: 448, patchSize: 28, keepsSmall: true };
    const wholeOf = (width: number, height: number) => slicePlan({ width, height }, limits, 'it').whole;
    expect(wholeOf(100, 50)).to.deep.equal({ width: 112, height: 56 });
    expect(wholeOf(900, 450)).to.deep.equal({ width: 644, height: 308 });
  });

  it('refuses a picture that is more than 200 times as long as it is high', () => {
    const limits = { maxSlices: 9, resolution: 448, patchSize: 14 };
    expect(() => slicePlan({ width: 201, height: 1 }, limits, 'it')).to.throw(AtbError, 'MEDIA_UNSUPPORTED');
  });

  it('puts patches into cells of learned positions as torch rounds', () => {
    for (const [index, expected] of pictureFixtures.buckets.entries()) {
      const found = bucketsOf(index + 1, 70);
      expect(sha256(new Uint8Array(found.buffer)).slice(0, 16), `${index + 1} patches`).to.equal(expected);
    }
    // Where Idefics 2 has products, a border goes to the other side: of 49 patches the 29th and the 43rd.
    expect([...bucketsByProduct(49, 70)].slice(27, 30)).to.deep.equal([38, 39, 41]);
    expect([...bucketsByProduct(49, 70)].slice(41, 44)).to.deep.equal([58, 60, 61]);
    // Where MiniCPM-V 4.6 has quotients, both do not.
    expect([...bucketsByQuotient(49, 70)].slice(27, 30)).to.deep.equal([38, 40, 41]);
    expect([...bucketsByQuotient(49, 70)].slice(41, 44)).to.deep.equal([58, 60, 61]);
  });
});
