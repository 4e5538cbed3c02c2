import { expect } from 'chai';
import {
  anyresOf,
  areaTiles,
  coveredPart,
  coveringTiles,
  fittedTiles,
  paddedSquare,
  patchesOf,
  pythonFloorDivision,
  RowPacker,
  shrunkWindow,
} from '../../src/media/index.js';
import { picture, pictureFixtures, sha256 } from './pictures.js';

const HALF = [0.5, 0.5, 0.5];
const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];
const CLIP = { rescale: 1 / 255, mean: [0.48145466, 0.4578275, 0.40821073], std: CLIP_STD };

/** In tiles below each other and side by side, as LlavaNextConfig and LlavaOnevisionConfig have them. */
const SIX = [1, 2, 3, 4, 5, 6];
const GRIDS = [
  [
    [1, 2],
    [2, 1],
    [2, 2],
    [3, 1],
    [1, 3],
  ],
  SIX.flatMap((rows) => SIX.map((columns) => [rows, columns])),
] as const;

describe('pictures on the canvas that fits them best', () => {
  const count = pictureFixtures.anyres.length;

  it(`cuts pictures of ${count} sizes into the squares of transformers, bit for bit, of as many tokens`, () => {
    for (const [
      width,
      height,
      seed,
      side,
      patchSize,
      kind,
      mostTiles,
      squares,
      tokens,
      expected,
    ] of pictureFixtures.anyres) {
      const what = `${width} x ${height} in tiles of ${side}`;
      const canvases = GRIDS[kind].map(([rows = 1, columns = 1]) => ({
        width: columns * side,
        height: rows * side,
      }));
      const { whole, tiles, rows, columns } = anyresOf(picture(width, height, seed), { side, canvases });
      expect(1 + tiles.length, what).to.equal(squares);
      const cut = { patchSize: side, temporalPatchSize: 1, mergeSize: 1 };
      const pixels = [whole, ...tiles].map((square) => patchesOf([square], CLIP, cut).data);
      const bytes = pixels.map((data) => new Uint8Array(data.buffer));
      expect(sha256(Buffer.concat(bytes)).slice(0, 16), what).to.equal(expected);

      const each = Math.floor(side / patchSize);
      const part = coveredPart({ width, height }, { rows: rows * each, columns: columns * each });
      const kept = mostTiles === 0 ? part : shrunkWindow(part, mostTiles * each * each);
      expect(each * each + kept.rows * (kept.columns + 1), what).to.equal(tokens);
    }
  });

  it(`puts rims about pictures of ${pictureFixtures.rims.length} sizes as transformers does, bit for bit`, () => {
    for (const [width, height, seed, side, mean, expected] of pictureFixtures.rims) {
      const colour = mean.map((value) => Math.trunc(value * 255));
      const square = paddedSquare(picture(width, height, seed), side, colour);
      const cut = { patchSize: side, temporalPatchSize: 1, mergeSize: 1 };
      const { data } = patchesOf([square], { ...CLIP, mean }, cut);
      const found = sha256(new Uint8Array(data.buffer)).slice(0, 16);
      expect(found, `${width} x ${height}`).to.equal(expected);
    }
  });

  for (const [of, cases, tilesFor, values] of [
    ['Cohere2Vision', pictureFixtures.covered, coveringTiles, CLIP],
    ['PerceptionLM', pictureFixtures.fitting, fittedTiles, { ...CLIP, mean: HALF, std: HALF }],
  ] as const)
    it(`cuts pictures of ${cases.length} sizes into the tiles of ${of} of transformers, bit for bit`, () => {
      for (const [width, height, seed, side, maxTiles, count, expected] of cases) {
        const tiles = tilesFor(picture(width, height, seed), { side, maxTiles });
        const what = `${width} x ${height}, at most ${maxTiles} of ${side}`;
        expect(tiles.length, what).to.equal(count);
        const cut = { patchSize: side, temporalPatchSize: 1, mergeSize: 1 };
        const bytes = tiles.map(
          (tile) => new Uint8Array(patchesOf([tile], { ...values, isFused: true }, cut).data.buffer),
        );
        expect(sha256(Buffer.concat(bytes)).slice(0, 16), what).to.equal(expected);
      }
    });

  it(`covers pictures of ${pictureFixtures.worded.length} sizes with the tiles of Ovis2 of transformers, bit for bit`, () => {
    for (const [
      width,
      height,
      seed,
      side,
      maxTiles,
      byArea,
      down,
      across,
      expected,
    ] of pictureFixtures.worded) {
      const sizes = { side, minTiles: 1, maxTiles, byArea };
      const what = `${width} x ${height}, at most ${maxTiles} of ${side}`;
      // Its processor cuts nothing where one tile is all that there may be, which is the same.
      const { rows, columns, squares } = areaTiles(picture(width, height, seed), sizes);
      expect([rows, columns], what).to.deep.equal([down, across]);
      const cut = { patchSize: side, temporalPatchSize: 1, mergeSize: 1 };
      const bytes = squares.map((tile) => new Uint8Array(patchesOf([tile], CLIP, cut).data.buffer));
      expect(sha256(Buffer.concat(bytes)).slice(0, 16), what).to.equal(expected);
    }
  });

  it('divides as Python does where the quotient is rounded up to an integer', () => {
    // 1.0 // 0.1 is 9.0 there, for 0.1 is a little more than a tenth.
    expect([pythonFloorDivision(1, 0.1), pythonFloorDivision(162, 1.35)]).to.deep.equal([9, 119]);
  });

  it('draws rows out as torch does, with rows as they are where nothing changes', () => {
    const packer = new RowPacker();
    const window = { top: 1, left: 0, rows: 1, columns: 4 };
    packer.addWindow((y, x) => 10 * y + x, window, { rows: 1, columns: 2 }, true);
    packer.addAll(5, 1);
    const { rows, shares } = packer.finish();
    // Centres of halves lie between two rows: interpolate([[0, 1, 2, 3]], size=2) is [0.5, 2.5].
    expect(rows.map((of) => [...of].slice(0, 2))).to.deep.equal([
      [10, 12],
      [11, 13],
      [10, 12],
      [11, 13],
    ]);
    expect(shares.map((of) => [...of])).to.deep.equal([
      [0.5, 0.5, 1, 1],
      [0.5, 0.5, 0, 0],
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
    expect([rows[0]?.[2], rows[0]?.[3]]).to.deep.equal([-1, 5]);
  });
});
