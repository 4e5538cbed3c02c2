import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Picture } from '../../src/media/index.js';

/** The pictures of tools/oracle/make_media_fixtures.py: waves with noise on them, in integers alone. */
export function picture(width: number, height: number, seed: number): Picture {
  const data = new Uint8Array(width * height * 3);
  let at = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++, at++) {
        const wave = Math.floor((x * x * (3 + c) + y * y * (5 - c) + x * y) / 97) % 192;
        data[at] = wave + (Math.imul(at + seed, 2654435761) >>> 26);
      }
  return { width, height, data };
}

export const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** How many slices there are below each other and side by side, and how many patches each has so. */
type SlicesInPatches = readonly [rows: number, columns: number, high: number, wide: number];

interface PictureFixtures {
  readonly resized: readonly {
    readonly filter: 'bicubic' | 'bilinear' | 'lanczos';
    readonly width: number;
    readonly height: number;
    readonly sha256: string;
  }[];
  readonly patches: readonly [
    width: number,
    height: number,
    seed: number,
    minPixels: number,
    maxPixels: number,
    grid: readonly number[],
    digest: string,
  ][];
  readonly scans: readonly [
    width: number,
    height: number,
    seed: number,
    minSide: number,
    maxPieces: number,
    minRatio: number,
    pieces: readonly (readonly [width: number, height: number])[],
    sha256: string,
  ][];
  readonly tilings: readonly [
    width: number,
    height: number,
    seed: number,
    patch: number,
    minTokens: number,
    maxTokens: number,
    minTiles: number,
    maxTiles: number,
    hasWhole: boolean,
    splits: boolean,
    tolerance: number,
    side: number,
    rows: number,
    columns: number,
    high: number,
    wide: number,
    digest: string,
  ][];
  readonly bounded: readonly [
    width: number,
    height: number,
    seed: number,
    patchSize: number,
    maxPatches: number,
    maxSide: number,
    rows: number,
    columns: number,
    digest: string,
  ][];
  readonly fitted: readonly [
    width: number,
    height: number,
    seed: number,
    patchSize: number,
    mergeSize: number,
    tokens: number,
    rows: number,
    columns: number,
    digest: string,
  ][];
  readonly anyres: readonly [
    width: number,
    height: number,
    seed: number,
    side: number,
    patchSize: number,
    /** Which of the lists of canvases. */
    kind: 0 | 1,
    /** As many rows as so many tiles have, a canvas keeps; 0: all. */
    mostTiles: number,
    squares: number,
    tokens: number,
    digest: string,
  ][];
  readonly worded: readonly [
    width: number,
    height: number,
    seed: number,
    side: number,
    maxTiles: number,
    byArea: boolean,
    rows: number,
    columns: number,
    digest: string,
  ][];
  readonly fitting: PictureFixtures['covered'];
  readonly covered: readonly [
    width: number,
    height: number,
    seed: number,
    side: number,
    maxTiles: number,
    count: number,
    digest: string,
  ][];
  readonly rims: readonly [
    width: number,
    height: number,
    seed: number,
    side: number,
    mean: readonly number[],
    digest: string,
  ][];
  readonly splits: readonly [
    width: number,
    height: number,
    seed: number,
    longest: number,
    side: number,
    splits: boolean,
    rows: number,
    columns: number,
    sha256: string,
  ][];
  readonly canvases: readonly [
    width: number,
    height: number,
    seed: number,
    side: number,
    maxTiles: number,
    fillsCanvas: boolean,
    rows: number,
    columns: number,
    digest: string,
  ][];
  readonly tiles: readonly [
    width: number,
    height: number,
    seed: number,
    side: number,
    minTiles: number,
    maxTiles: number,
    count: number,
    digest: string,
  ][];
  readonly frames: readonly [
    width: number,
    height: number,
    frames: number,
    factor: number,
    minPixels: number,
    maxPixels: number,
    size: readonly [number, number] | null,
  ][];
  readonly grown: readonly [
    width: number,
    height: number,
    seed: number,
    minPixels: number,
    maxPixels: number,
    grid: readonly number[] | null,
    digest: string,
  ][];
  readonly pages: readonly [
    width: number,
    height: number,
    seed: number,
    side: number,
    minTiles: number,
    maxTiles: number,
    splits: boolean,
    denseTiles: number,
    denseScale: number,
    denseRatio: number,
    denseMaxRatio: number,
    rows: number,
    columns: number,
    digest: string,
  ][];
  readonly sizes: readonly [
    width: number,
    height: number,
    factor: number,
    minPixels: number,
    maxPixels: number,
    size: readonly [number, number] | null,
  ][];
  readonly slices: readonly [
    width: number,
    height: number,
    seed: number,
    maxSlices: number,
    resolution: number,
    /** In patches. */
    whole: readonly [rows: number, columns: number],
    slices: SlicesInPatches | null,
    digest: string,
  ][];
  readonly slice_sizes: readonly [
    width: number,
    height: number,
    maxSlices: number,
    whole: readonly [rows: number, columns: number],
    slices: SlicesInPatches | null,
  ][];
  /** For each number of patches along an axis, from 1. */
  readonly buckets: readonly string[];
  readonly decoded: readonly {
    readonly name: string;
    readonly data: string;
    readonly width: number;
    readonly height: number;
    readonly sha256: string;
  }[];
}

/** What Pillow and transformers made of pictures. */
export const pictureFixtures: PictureFixtures = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../test/fixtures/media/pictures.json'), 'utf8'),
);

/** The file of a decoded fixture. */
export function pictureFile(name: string): Buffer {
  const found = pictureFixtures.decoded.find((file) => file.name === name);
  if (!found) throw new RangeError(`no file ${name} among the fixtures`);
  return Buffer.from(found.data, 'base64');
}
