import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import sharp from 'sharp';
import { AtbError, type ErrorCode } from '../../src/errors.js';
import {
  boundedPicture,
  canvasGrid,
  canvasOf,
  decodePicture,
  fitBlocks,
  pageTiles,
  patchesOf,
  pythonTenths,
  resize,
  scanOf,
  smartResize,
  smartResizeFrames,
  smartResizeGrown,
  splitsOf,
  tileGrid,
  tilesOf,
  tilingOf,
} from '../../src/media/index.js';
import { GEMMA4_VALUES } from '../../src/models/gemma4/processor.js';
import { picture, pictureFile, pictureFixtures, sha256 } from './pictures.js';

async function refusal(work: () => Promise<unknown>): Promise<AtbError> {
  try {
    await work();
  } catch (error) {
    expect(error).to.be.instanceOf(AtbError);
    return error as AtbError;
  }
  throw new Error('nothing was refused');
}

/** A PNG whose header says another size than its data. */
function lyingPng(width: number, height: number): Buffer {
  const file = Buffer.from(pictureFile('plain.png'));
  file.writeUInt32BE(width, 16);
  file.writeUInt32BE(height, 20);
  return file;
}

describe('pictures', () => {
  describe('decoding', () => {
    for (const file of pictureFixtures.decoded)
      it(`gives the bytes of Pillow for ${file.name}`, async () => {
        const { width, height, data } = await decodePicture(Buffer.from(file.data, 'base64'), 'it');
        expect([width, height]).to.deep.equal([file.width, file.height]);
        expect(sha256(data)).to.equal(file.sha256);
      });

    const made = (create: Parameters<typeof sharp>[1], format: 'png' | 'gif' | 'jpeg' | 'webp') =>
      sharp(Buffer.alloc(6 * 6 * 3, 90), create)
        .toFormat(format)
        .toBuffer();
    const raw = { raw: { width: 6, height: 6, channels: 3 as const } };

    const refused: readonly [string, ErrorCode, () => Promise<Uint8Array> | Uint8Array][] = [
      ['no bytes', 'MEDIA_UNSUPPORTED', () => new Uint8Array()],
      ['a text', 'MEDIA_UNSUPPORTED', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
      ['a signature alone', 'MEDIA_INVALID', () => pictureFile('plain.png').subarray(0, 20)],
      ['half a PNG', 'MEDIA_INVALID', () => pictureFile('plain.png').subarray(0, 900)],
      ['half a JPEG', 'MEDIA_INVALID', () => pictureFile('plain.jpeg').subarray(0, 700)],
      ['half a WebP', 'MEDIA_INVALID', () => pictureFile('plain.webp').subarray(0, 200)],
      ['a header that asks for more than there is', 'MEDIA_INVALID', () => lyingPng(37, 4000)],
      ['a decompression bomb', 'MEDIA_TOO_LARGE', () => lyingPng(60_000, 60_000)],
      [
        'frames that follow one another',
        'MEDIA_UNSUPPORTED',
        () =>
          sharp(Buffer.concat([Buffer.alloc(108, 9), Buffer.alloc(108, 200)]), {
            raw: { width: 6, height: 12, channels: 3, pageHeight: 6 },
          })
            .gif()
            .toBuffer(),
      ],
      [
        'grey of 16 bits',
        'MEDIA_UNSUPPORTED',
        () => sharp(Buffer.alloc(108), raw).toColourspace('grey16').png().toBuffer(),
      ],
    ];
    for (const [name, code, file] of refused)
      it(`refuses ${name}`, async () => {
        const bytes = await file();
        const error = await refusal(() => decodePicture(bytes, 'picture 2'));
        expect(error.code, error.message).to.equal(code);
        expect(error.message).to.contain('picture 2');
      });

    for (const [name, bytes] of [
      ['HEIC', '\0\0\0\x18ftypheic\0\0\0\0'],
      ['AVIF', '\0\0\0\x20ftypavif\0\0\0\0'],
      ['a video', '\0\0\0\x20ftypisom\0\0\0\0'],
      ['BMP', 'BM\x8a\0\0\0'],
      ['PDF', '%PDF-1.7'],
      ['SVG', '<?xml version="1.0"?><svg/>'],
      ['a page of HTML', '\n<!DOCTYPE html><html>'],
      ['sound', 'RIFF\0\0\0\0WAVEfmt '],
      ['bytes of another format', 'GIF?'],
      ['no bytes', ''],
    ] as const)
      it(`says of other files what they seem to be: ${name}`, async () => {
        const { message } = await refusal(() => decodePicture(Buffer.from(bytes, 'latin1'), 'it'));
        expect(message).to.contain(`found ${name}`);
      });

    it('names the package that it lacks where sharp is not installed', () => {
      const url = (path: string) => pathToFileURL(join(import.meta.dirname, '../..', path)).href;
      const hooks = `export function resolve(name, context, next) {
        if (name === 'sharp') throw new Error('not installed');
        return next(name, context);
      }`;
      const program = `import { register } from 'node:module';
        register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}));
        const { decodePicture } = await import(${JSON.stringify(url('src/media/index.js'))});
        const { pictureFile } = await import(${JSON.stringify(url('test/media/pictures.js'))});
        await decodePicture(pictureFile('plain.png'), 'it').catch(({ message }) => console.log(message));`;
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
      });
      expect(stdout, stderr).to.match(/^MEDIA_DECODER_MISSING: .*npm install sharp/);
    });

    it('refuses a file that is too long, and a picture of too many pixels, as it is told', async () => {
      const file = await made(raw, 'png');
      const small = { maxBytes: 10, maxPixels: 1000 };
      expect((await refusal(() => decodePicture(file, 'it', small))).code).to.equal('MEDIA_TOO_LARGE');
      const few = { maxBytes: 1000, maxPixels: 35 };
      expect((await refusal(() => decodePicture(file, 'it', few))).code).to.equal('MEDIA_TOO_LARGE');
      expect((await decodePicture(file, 'it', { ...few, maxPixels: 36 })).width).to.equal(6);
    });
  });

  describe('resizing', () => {
    const source = picture(641, 427, 1);
    for (const { filter, width, height, sha256: expected } of pictureFixtures.resized)
      it(`gives the bytes of Pillow, ${filter} to ${width} x ${height}`, () => {
        const resized = resize(source, { width, height }, filter);
        expect(resized.data.length).to.equal(width * height * 3);
        expect(sha256(resized.data)).to.equal(expected);
      });

    it(`brings ${pictureFixtures.sizes.length} sizes to those of transformers`, () => {
      for (const [width, height, factor, minPixels, maxPixels, size] of pictureFixtures.sizes) {
        const found = () => smartResize({ width, height }, { factor, minPixels, maxPixels }, 'it');
        if (size === null) expect(found).to.throw(AtbError, 'MEDIA_UNSUPPORTED');
        else expect(found(), `${width} x ${height}`).to.deep.equal({ width: size[0], height: size[1] });
      }
    });
  });

  it(`brings videos of ${pictureFixtures.frames.length} sizes and lengths to those of transformers`, () => {
    for (const [width, height, frames, factor, minPixels, maxPixels, size] of pictureFixtures.frames) {
      const range = { factor, minPixels, maxPixels };
      const found = () => smartResizeFrames({ width, height }, { frames, pairSize: 2 }, range, 'it');
      if (size === null) expect(found).to.throw(AtbError, 'MEDIA_UNSUPPORTED');
      else
        expect(found(), `${frames} of ${width} x ${height}`).to.deep.equal({
          width: size[0],
          height: size[1],
        });
    }
  });

  it('writes seconds as Python does', () => {
    const written = [0.25, 0.75, 1.25, 0.35, 0.15, 0.45, 10.25, 0.05, 2, 1 / 48].map(pythonTenths);
    expect(written).to.deep.equal(['0.2', '0.8', '1.2', '0.3', '0.1', '0.5', '10.2', '0.1', '2.0', '0.0']);
  });

  const VALUES = {
    rescale: 1 / 255,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  };
  const SIZES = { patchSize: 14, temporalPatchSize: 2, mergeSize: 2 };

  it(`cuts pictures of ${pictureFixtures.patches.length} sizes into the patches of transformers, bit for bit`, () => {
    for (const [width, height, seed, minPixels, maxPixels, grid, expected] of pictureFixtures.patches) {
      const size = smartResize({ width, height }, { factor: 28, minPixels, maxPixels }, 'it');
      const patches = patchesOf([resize(picture(width, height, seed), size, 'bicubic')], VALUES, SIZES);
      expect(patches.grid).to.deep.equal(grid);
      const digest = sha256(new Uint8Array(patches.data.buffer)).slice(0, 16);
      expect(digest, `${width} x ${height}`).to.equal(expected);
    }
  });

  it(`cuts pictures of ${pictureFixtures.grown.length} sizes into the patches of PaddleOCR-VL, bit for bit`, () => {
    for (const [width, height, seed, minPixels, maxPixels, grid, expected] of pictureFixtures.grown) {
      const sized = () => smartResizeGrown({ width, height }, { factor: 28, minPixels, maxPixels }, 'it');
      if (grid === null) {
        expect(sized).to.throw(AtbError, 'MEDIA_UNSUPPORTED');
        continue;
      }
      // Row by row, as transformers has them.
      const cut = { patchSize: 14, temporalPatchSize: 1, mergeSize: 1 };
      const patches = patchesOf([resize(picture(width, height, seed), sized(), 'bicubic')], VALUES, cut);
      expect(patches.grid).to.deep.equal(grid);
      const digest = sha256(new Uint8Array(patches.data.buffer)).slice(0, 16);
      expect(digest, `${width} x ${height}`).to.equal(expected);
    }
  });

  it(`cuts pictures of ${pictureFixtures.tiles.length} sizes into the tiles of transformers, bit for bit`, () => {
    for (const [width, height, seed, side, minTiles, maxTiles, count, expected] of pictureFixtures.tiles) {
      const tiles = tilesOf(picture(width, height, seed), { side, minTiles, maxTiles }, true);
      const what = `${width} x ${height}, ${minTiles} to ${maxTiles} of ${side}`;
      expect(tiles.length, what).to.equal(count);
      const whole = { patchSize: side, temporalPatchSize: 1, mergeSize: 1 };
      const pixels = tiles.map((tile) => patchesOf([tile], VALUES, whole).data);
      const bytes = pixels.map((data) => new Uint8Array(data.buffer));
      expect(sha256(Buffer.concat(bytes)).slice(0, 16), what).to.equal(expected);
    }
  });

  it(`cuts pages of ${pictureFixtures.pages.length} sizes into the tiles of GraniteDocling, bit for bit`, () => {
    for (const [width, height, seed, side, minTiles, maxTiles, splits, ...rest] of pictureFixtures.pages) {
      const [denseTiles, denseScale, denseRatio, denseMaxRatio, rows, columns, expected] = rest;
      const dense = { denseTiles, denseScale, denseRatio, denseMaxRatio };
      const page = picture(width, height, seed);
      const sizes = pageTiles(page, { side, minTiles, maxTiles, maxAlong: 16, splits, ...dense });
      const what = `${width} x ${height}, ${minTiles} to ${maxTiles} of ${side}, ${JSON.stringify(dense)}`;
      expect(tileGrid(page, sizes), what).to.deep.equal({ columns, rows });
      const whole = { patchSize: side, temporalPatchSize: 1, mergeSize: 1 };
      const pixels = tilesOf(page, sizes, true).map((tile) => patchesOf([tile], VALUES, whole).data);
      const bytes = pixels.map((data) => new Uint8Array(data.buffer));
      expect(sha256(Buffer.concat(bytes)).slice(0, 16), what).to.equal(expected);
    }
  });

  it(`brings pictures of ${pictureFixtures.fitted.length} sizes to the patches of Gemma 4, bit for bit`, () => {
    const values = { rescale: 1 / 255, ...GEMMA4_VALUES };
    for (const [
      width,
      height,
      seed,
      patchSize,
      mergeSize,
      tokens,
      rows,
      columns,
      expected,
    ] of pictureFixtures.fitted) {
      const what = `${width} x ${height}, ${tokens} blocks of ${mergeSize} patches of ${patchSize}`;
      const size = fitBlocks({ width, height }, { patchSize, mergeSize, tokens });
      const resized = resize(picture(width, height, seed), size, 'bicubic');
      // Row by row, as transformers has them.
      const cut = { patchSize, temporalPatchSize: 1, mergeSize: 1, channelsLast: true };
      const { data, grid } = patchesOf([resized], values, cut);
      expect(grid, what).to.deep.equal([1, rows, columns]);
      expect(sha256(new Uint8Array(data.buffer)).slice(0, 16), what).to.equal(expected);
    }
  });

  it(`brings pictures of ${pictureFixtures.bounded.length} sizes to the patches of Kimi-K2.5, bit for bit`, () => {
    const half = [0.5, 0.5, 0.5];
    const values = { rescale: 1 / 255, mean: half, std: half, isFused: true };
    for (const [
      width,
      height,
      seed,
      patchSize,
      maxPatches,
      maxSide,
      rows,
      columns,
      expected,
    ] of pictureFixtures.bounded) {
      const bounds = { patchSize, mergeSize: 2, maxPatches, maxSide };
      const bounded = boundedPicture(picture(width, height, seed), bounds);
      // Row by row, as transformers has them.
      const { data, grid } = patchesOf([bounded], values, { patchSize, temporalPatchSize: 1, mergeSize: 1 });
      const what = `${width} x ${height}, ${maxPatches} of ${patchSize}`;
      expect(grid, what).to.deep.equal([1, rows, columns]);
      expect(sha256(new Uint8Array(data.buffer)).slice(0, 16), what).to.equal(expected);
    }
  });

  it(`cuts pictures of ${pictureFixtures.tilings.length} sizes into the tiles of LFM2-VL, bit for bit`, () => {
    const half = [0.5, 0.5, 0.5];
    const values = { rescale: 1 / 255, mean: half, std: half, isFused: true };
    for (const [
      width,
      height,
      seed,
      patch,
      minTokens,
      maxTokens,
      minTiles,
      maxTiles,
      ...rest
    ] of pictureFixtures.tilings) {
      const [hasWhole, splits, tolerance, side, rows, columns, high, wide, expected] = rest;
      const bounds = { patch, block: 2 * patch, minTokens, maxTokens, minTiles, maxTiles };
      const sizes = { ...bounds, hasWhole, splits, tolerance, side };
      const found = tilingOf(picture(width, height, seed), sizes, 'it');
      const what = `${width} x ${height}: ${JSON.stringify(sizes)}`;
      expect([found.rows, found.columns], what).to.deep.equal([rows, columns]);
      const { width: across = 0, height: down = 0 } = found.whole ?? {};
      expect([down / patch, across / patch], what).to.deep.equal([high, wide]);
      // Row by row, as transformers has them.
      const cut = { patchSize: patch, temporalPatchSize: 1, mergeSize: 1, channelsLast: true };
      const shown = [...found.tiles, ...(found.whole ? [found.whole] : [])];
      const pixels = shown.map((one) => new Uint8Array(patchesOf([one], values, cut).data.buffer));
      expect(sha256(Buffer.concat(pixels)).slice(0, 16), what).to.equal(expected);
    }
  });

  it(`cuts long pictures of ${pictureFixtures.scans.length} sizes into the pieces of Gemma 3`, () => {
    for (const [
      width,
      height,
      seed,
      minSide,
      maxPieces,
      minRatio,
      pieces,
      expected,
    ] of pictureFixtures.scans) {
      const found = scanOf(picture(width, height, seed), { minSide, maxPieces, minRatio });
      const what = `${width} x ${height}, ${maxPieces} of ${minSide} from ${minRatio} on`;
      expect(
        found.map((piece) => [piece.width, piece.height]),
        what,
      ).to.deep.equal(pieces);
      expect(sha256(Buffer.concat(found.map(({ data }) => data))).slice(0, 16), what).to.equal(expected);
    }
  });

  it(`splits pictures of ${pictureFixtures.splits.length} sizes into the squares of transformers, bit for bit`, () => {
    for (const [
      width,
      height,
      seed,
      longest,
      side,
      splits,
      rows,
      columns,
      expected,
    ] of pictureFixtures.splits) {
      const found = splitsOf(picture(width, height, seed), { longest, side, splits }, 'it');
      const what = `${width} x ${height}, ${longest} in squares of ${side}`;
      expect([found.rows, found.columns], what).to.deep.equal([rows, columns]);
      const bytes = [...found.squares, found.whole].map(({ data }) => data);
      expect(sha256(Buffer.concat(bytes)).slice(0, 16), what).to.equal(expected);
    }
  });

  it(`puts pictures of ${pictureFixtures.canvases.length} sizes onto the canvases of transformers, bit for bit`, () => {
    for (const [
      width,
      height,
      seed,
      side,
      maxTiles,
      fillsCanvas,
      rows,
      columns,
      expected,
    ] of pictureFixtures.canvases) {
      const sizes = { side, maxTiles, fillsCanvas };
      const { squares, whole } = canvasOf(picture(width, height, seed), sizes);
      const what = `${width} x ${height}, ${maxTiles} of ${side}`;
      expect(canvasGrid({ width, height }, sizes), what).to.deep.equal({ rows, columns });
      const values = {
        rescale: 1 / 255,
        mean: [0.5, 0.5, 0.5],
        std: [0.5, 0.5, 0.5],
        roundedTo: 'bf16',
      } as const;
      const cut = { patchSize: side, temporalPatchSize: 1, mergeSize: 1 };
      const pixels = [...squares, whole].map((square) => patchesOf([square], values, cut).data);
      const bytes = pixels.map((data) => new Uint8Array(data.buffer));
      expect(sha256(Buffer.concat(bytes)).slice(0, 16), what).to.equal(expected);
    }
  });

  it('pairs frames, and repeats the last of an odd number', () => {
    const frames = [1, 2, 3].map((seed) => picture(28, 28, seed));
    const [first, second, third] = frames as [(typeof frames)[0], (typeof frames)[0], (typeof frames)[0]];
    const all = patchesOf([first, second, third], VALUES, SIZES);
    expect(all.grid).to.deep.equal([2, 2, 2]);
    const half = all.data.length / 2;
    expect([...all.data.subarray(0, half)]).to.deep.equal([
      ...patchesOf([first, second], VALUES, SIZES).data,
    ]);
    expect([...all.data.subarray(half)]).to.deep.equal([...patchesOf([third], VALUES, SIZES).data]);
  });
});
