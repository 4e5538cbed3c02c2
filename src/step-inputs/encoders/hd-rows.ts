import { type EncoderInput, hdTiles } from '../../media/index.js';
import { int32, int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { BUCKETED_POSITIONS, bucketsByProduct } from './bucketed-positions.js';
import { MERGED_PATCHES } from './patches.js';

/** Which patches of tiles are seen by all of their tile, how many, and what becomes of what they give. */
export const HD_ROWS = { seen: 'seen_patches', lens: 'tile_len', tokens: 'hd_tokens' } as const;

/** A tile of a picture: patches below each other and side by side, and perhaps one more that holds nothing. */
interface Tile {
  readonly down: number;
  readonly across: number;
  readonly hasEmpty: boolean;
}

/** Tiles that hold some of a picture, and that of the whole. */
const tilesOf = ({ shape: [, down, across] }: EncoderInput, side: number): readonly Tile[] => [
  ...hdTiles([down, across], side),
  { down: side, across: side, hasEmpty: false },
];

/** What is made of pictures, one after another. */
class HdMaker {
  readonly positions: number[] = [];
  readonly seen: number[] = [];
  readonly queries: number[] = [];
  readonly keys: number[] = [];
  readonly blocks: number[] = [];
  readonly tokens: number[] = [];
  private row = 0;

  constructor(private readonly side: number) {}

  /** `ends`: the numbers of the row that ends a line, and of that between tiles and the whole. */
  add(input: EncoderInput, ends: { readonly line: number; readonly tiles: number }): void {
    const [, down, across] = input.shape;
    const tiles = tilesOf(input, this.side).map((tile) => this.addTile(tile));
    const columns = Math.ceil(across / this.side);
    const inTiles = (y: number, x: number): number => {
      const tile = Math.floor(y / this.side) * columns + Math.floor(x / this.side);
      return tiles[tile]?.(y % this.side, x % this.side) ?? 0;
    };
    this.addLines([down, across], inTiles, ends.line);
    this.tokens.push(ends.tiles);
    this.addLines([this.side, this.side], tiles.at(-1) ?? inTiles, ends.line);
  }

  /** Returns which row of the encoder a patch of the tile has. */
  private addTile({ down, across, hasEmpty }: Tile): (y: number, x: number) => number {
    const first = this.row;
    const [rows, columns] = [bucketsByProduct(down, this.side), bucketsByProduct(across, this.side)];
    for (const y of rows)
      for (const x of columns) {
        this.positions.push(y * this.side + x);
        this.seen.push(this.row++);
      }
    this.keys.push(down * across);
    this.queries.push(down * across + Number(hasEmpty));
    // It has the first position, and sees the others, which do not see it.
    if (hasEmpty) {
      this.positions.push(0);
      this.row++;
    }
    return (y, x) => first + (y < down && x < across ? y * across + x : down * across);
  }

  /** Blocks of 2 x 2 patches, line by line, a row of its own behind each line. */
  private addLines(
    [down, across]: readonly [number, number],
    rowAt: (y: number, x: number) => number,
    lineEnd: number,
  ): void {
    for (let y = 0; y < down; y += 2) {
      for (let x = 0; x < across; x += 2) {
        this.tokens.push(this.blocks.length / 4);
        this.blocks.push(rowAt(y, x), rowAt(y, x + 1), rowAt(y + 1, x), rowAt(y + 1, x + 1));
      }
      this.tokens.push(lineEnd);
    }
  }
}

/** Blocks of 2 x 2 patches of a picture, those of the whole among them. */
const blocksOf = ({ shape: [, down, across] }: EncoderInput, side: number): number =>
  Math.ceil(down / 2) * Math.ceil(across / 2) + (side / 2) ** 2;

/**
 * Of pictures on tiles of `side` x `side` patches (`hdPictureOf`): `bucketed_positions` i64 [rows], which row of a table of
 * learned positions each takes; `seen_patches` i64 [seen], the rows that others of their tile see, all but those that hold
 * nothing of a picture; `tile_len` i32 [2, tiles], rows of each tile, and how many of them are seen; `merged_patches`
 * i64 [blocks, 4], the rows of each block; `hd_tokens` i64 [tokens]: blocks line by line, behind all of them first the row
 * that ends lines, then that between tiles and the whole.
 */
export const hdRows = (side: number): StepInput => ({
  names: [BUCKETED_POSITIONS, MERGED_PATCHES, ...Object.values(HD_ROWS)],
  describe: ({ rows, batch }) => ({
    [BUCKETED_POSITIONS]: { dtype: 'i64', shape: [rows] },
    [HD_ROWS.seen]: { dtype: 'i64', shape: [rows] },
    [HD_ROWS.lens]: { dtype: 'i32', shape: [2, batch] },
    [MERGED_PATCHES]: { dtype: 'i64', shape: [Math.ceil(rows / 4), 4] },
    [HD_ROWS.tokens]: { dtype: 'i64', shape: [rows] },
  }),
  make({ encoderInputs = [] }) {
    const line = encoderInputs.reduce((sum, input) => sum + blocksOf(input, side), 0);
    const made = new HdMaker(side);
    for (const input of encoderInputs) made.add(input, { line, tiles: line + 1 });
    const list = (values: readonly number[]) => int64(Int32Array.from(values));
    return {
      [BUCKETED_POSITIONS]: list(made.positions),
      [HD_ROWS.seen]: list(made.seen),
      [HD_ROWS.lens]: int32(Int32Array.from([...made.queries, ...made.keys]), [2, made.keys.length]),
      [MERGED_PATCHES]: { ...list(made.blocks), shape: [made.blocks.length / 4, 4] },
      [HD_ROWS.tokens]: list(made.tokens),
    };
  },
});
