import type { EncoderInput } from '../../media/index.js';
import { int32, int64 } from '../integers.js';
import { slotsOfPlace } from '../shown-rows.js';
import type { EncoderPlace } from '../step.js';
import type { StepInput, StepSizes } from '../step-input.js';

/** Rows of pictures that are seen as tiles of a canvas, empty ones among them. */
export const TILED = {
  rows: 'tile_rows',
  tiles: 'tile_ids',
  places: 'places_in_tile',
  placesOfTiles: 'places_of_tiles',
  padded: 'padded_rows',
  paddedTiles: 'padded_tile_ids',
  lengths: 'paired_lengths',
  keys: 'paired_keys',
  real: 'real_rows',
  slots: 'shown_slots',
} as const;

export interface TiledSizes {
  /** Patches of a tile. */
  readonly count: number;
  /** Tiles that each picture has, empty ones included. */
  readonly maxTiles: number;
}

/** Rows of a tile come to a multiple of this (transformers 5.24, `MllamaVisionModel`). */
const MULTIPLE = 8;

/** Where the canvas of so many rows and columns of tiles stands among all, counted from 1. */
export function canvasNumber(rows: number, columns: number, maxTiles: number): number {
  let number = columns;
  for (let before = 1; before < rows; before++) number += Math.floor(maxTiles / before);
  return number;
}

/** The canvases of at most so many tiles, in the order of their numbers: rows and columns. */
export const canvasesOf = (maxTiles: number): readonly (readonly [rows: number, columns: number])[] =>
  Array.from({ length: maxTiles }, (_, at) => at + 1).flatMap((rows) =>
    Array.from({ length: Math.floor(maxTiles / rows) }, (_, at) => [rows, at + 1] as const),
  );

const range = (length: number, from = 0): number[] => Array.from({ length }, (_, at) => from + at);

/** What `EncoderInput` says of a picture's tiles. */
const tilesOf = ({ grid }: EncoderInput): number => (grid?.rows ?? 1) * (grid?.columns ?? 1);

/** Slots of a picture's rows among those of pictures that are kept together, whose filled rows come first. [rows] */
function keptSlots(
  { place, inputs, index }: EncoderPlace,
  { rows, each, blockSize }: { readonly rows: number; readonly each: number; readonly blockSize: number },
): number[] {
  const slots = slotsOfPlace(place, rows, blockSize);
  const filled = inputs.map((input) => tilesOf(input) * each);
  const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
  const before = sum(filled.slice(0, index));
  const own = filled[index] ?? 0;
  const empty = sum(filled) + index * rows - before;
  return [...slots.slice(before, before + own), ...slots.slice(empty, empty + rows - own)];
}

/**
 * For pictures as tiles of a canvas. A picture has `rows` = maxTiles * (count + 1) rows, a class's before those of each
 * tile, and behind them some that only make a tile's number of rows a multiple of 8. Rows that hold something come
 * first. `tile_rows` i64 [rows]: the patch that a row is, the number of all patches for a class's row, one more for an
 * empty one. `tile_ids` i64 [rows]: canvas * maxTiles + tile, behind all of these for rows of classes. `places_in_tile`
 * i64 [rows]. `places_of_tiles` i64 [rows]: tile's id * (count + 1) + place. `padded_rows` i64 [padded]: rows with
 * those that fill up, which are the one behind all; `padded_tile_ids` i64 [padded] their tiles' ids. `paired_keys` i64
 * [keys]: what rows see, `paired_lengths` i32 [2, 2 * pictures]: rows that hold something see all, the others those
 * that hold something. `real_rows` i64 [rows]: the rows among padded ones. `shown_slots` i32 [rows]: where keys and
 * values go, -1: nowhere.
 */
export function tiledPictures({ count, maxTiles }: TiledSizes): StepInput {
  const each = count + 1;
  const rows = maxTiles * each;
  const filling = (MULTIPLE - (each % MULTIPLE)) % MULTIPLE;
  const padded = rows + maxTiles * filling;
  const idsOfAll = (canvasesOf(maxTiles).length + 1) * maxTiles;
  return {
    names: Object.values(TILED),
    describe({ rows: patches }: StepSizes) {
      const pictures = Math.max(1, Math.ceil(patches / (count * maxTiles)));
      const desc = (of: number) => ({ dtype: 'i64', shape: [pictures * of] }) as const;
      return {
        ...Object.fromEntries(
          [TILED.rows, TILED.tiles, TILED.places, TILED.placesOfTiles, TILED.real].map((name) => [
            name,
            desc(rows),
          ]),
        ),
        [TILED.padded]: desc(padded),
        [TILED.paddedTiles]: desc(padded),
        [TILED.lengths]: { dtype: 'i32', shape: [2, 2 * pictures] },
        [TILED.keys]: desc(padded + rows),
        [TILED.slots]: { dtype: 'i32', shape: [pictures * rows] },
      };
    },
    make({ encoderInputs = [], encoderPlaces }, { blockSize }) {
      const patches = encoderInputs.reduce((sum, input) => sum + tilesOf(input) * count, 0);
      const allRows = encoderInputs.length * rows;
      const lists = Object.fromEntries(Object.values(TILED).map((name) => [name, [] as number[]]));
      const add = (name: string, numbers: readonly number[]) => lists[name]?.push(...numbers);
      const lengths: [queries: number[], keys: number[]] = [[], []];
      let patch = 0;
      for (const [picture, input] of encoderInputs.entries()) {
        const tiles = tilesOf(input);
        const canvas = canvasNumber(input.grid?.rows ?? 1, input.grid?.columns ?? 1, maxTiles);
        const [firstRow, firstPadded, filled] = [picture * rows, picture * padded, tiles * each];
        for (let tile = 0; tile < maxTiles; tile++) {
          const id = canvas * maxTiles + tile;
          const own =
            tile < tiles ? range(count, patch + tile * count) : Array<number>(count).fill(patches + 1);
          add(TILED.rows, [patches, ...own]);
          add(TILED.tiles, [idsOfAll, ...Array<number>(count).fill(id)]);
          add(TILED.places, range(each));
          add(TILED.placesOfTiles, range(each, id * each));
          add(TILED.paddedTiles, Array<number>(each).fill(id));
        }
        for (let tile = 0; tile < maxTiles; tile++)
          add(TILED.paddedTiles, Array<number>(filling).fill(canvas * maxTiles + tile));
        add(TILED.padded, [...range(rows, firstRow), ...Array<number>(padded - rows).fill(allRows)]);
        add(TILED.real, range(rows, firstPadded));
        const pairs = [
          [filled, padded],
          [padded - filled, filled],
        ] as const;
        for (const [queries, keys] of pairs) {
          if (queries === 0) continue;
          lengths[0].push(queries);
          lengths[1].push(keys);
          add(TILED.keys, range(keys, firstPadded));
        }
        const place = encoderPlaces?.[picture];
        add(TILED.slots, place ? keptSlots(place, { rows, each, blockSize }) : Array<number>(rows).fill(-1));
        patch += tiles * count;
      }
      const { [TILED.slots]: slots = [], [TILED.lengths]: _, ...others } = lists;
      return {
        ...Object.fromEntries(
          Object.entries(others).map(([name, numbers]) => [name, int64(Int32Array.from(numbers))]),
        ),
        [TILED.lengths]: int32(Int32Array.from(lengths.flat()), [2, lengths[0].length]),
        [TILED.slots]: int32(Int32Array.from(slots)),
      };
    },
  };
}
