import { AtbError } from '../../errors.js';
import { type ConfigOf, defineConfig, type Field, field, flag, integer } from '../../layers/config/index.js';
import {
  beside,
  cutOut,
  decodePicture,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type PictureSize,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { AROUND, BILINEAR, pixelFields } from '../base/vision/index.js';
import type { Idefics2Config } from './config.js';

const edge = (name: string, fallback: number): Field<number> => ({
  read: (json) => json.section('size')?.value(name, integer(1, 10_000)) ?? fallback,
});
const HALF = [0.5, 0.5, 0.5];

/** Defaults of transformers 5.24, Idefics2ImageProcessor. */
const PICTURES = defineConfig({
  fields: {
    shortest: edge('shortest_edge', 378),
    longest: edge('longest_edge', 980),
    splits: field('do_image_splitting', flag, false),
    ...pixelFields({ mean: HALF, std: HALF }, BILINEAR),
  },
});
type Pictures = ConfigOf<typeof PICTURES>;

/** Longer ones get as long as they may be, sides that are shorter than they must be as long as that. */
function sizeOf({ width, height }: PictureSize, { shortest, longest }: Pictures): PictureSize {
  const ratio = width / height;
  let size = { width, height };
  if (width >= height && width > longest) size = { width: longest, height: Math.trunc(longest / ratio) };
  else if (height > width && height > longest) size = { width: Math.trunc(longest * ratio), height: longest };
  return { width: Math.max(size.width, shortest), height: Math.max(size.height, shortest) };
}

/** Its quarters, row by row, then the whole. @throws MEDIA_UNSUPPORTED for a side of one pixel */
function quartersOf(picture: Picture, what: string): readonly Picture[] {
  const [right, low] = [Math.floor(picture.width / 2), Math.floor(picture.height / 2)];
  if (right === 0 || low === 0)
    throw new AtbError('MEDIA_UNSUPPORTED', {
      what,
      expected: 'at least two pixels along each side, of which quarters are made',
      found: `${picture.width} x ${picture.height} pixels`,
    });
  const across = [
    [0, right],
    [right, picture.width - right],
  ] as const;
  const down = [
    [0, low],
    [low, picture.height - low],
  ] as const;
  const quarters = down.flatMap(([top, height]) =>
    across.map(([left, width]) => cutOut(picture, { left, top, width, height })),
  );
  return [...quarters, picture];
}

/** Pictures, where the file says so behind their quarters, with a token before each part and behind the last. */
export class Idefics2Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  private readonly marks: readonly number[];

  private constructor(
    private readonly pictures: Pictures,
    private readonly model: Idefics2Config,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = model.imageTokenId === undefined ? {} : { image: model.imageTokenId };
    this.marks = encode(AROUND);
  }

  /** @throws CONFIG_INVALID */
  static async read(
    folder: ModelFolder,
    model: Idefics2Config,
    encode: EncodeWords,
  ): Promise<Idefics2Processor> {
    return new Idefics2Processor(await readProcessorConfig(folder, PICTURES), model, encode);
  }

  /** The token stands once between pictures, and a space between it and a word. */
  joins(left: number, right: number): readonly number[] | undefined {
    const [mark] = this.marks;
    if (left !== mark) return undefined;
    if (right === mark) return [mark];
    const text = this.encode.textOf?.(right);
    return text === undefined || /^(\s|<|$|\u{FFFD})/u.test(text)
      ? undefined
      : this.encode(`${AROUND} ${text}`);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { patchSize } = this.model.vision;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const parts = this.pictures.splits ? quartersOf(picture, what) : [picture];
    const pieces: MediaPiece[] = [this.marks];
    for (const [index, part] of parts.entries()) {
      const resized = await beside('resize', part, sizeOf(part, this.pictures), 'bilinear');
      const sizes = { patchSize, temporalPatchSize: 1, mergeSize: 1 };
      const { data, grid } = await beside('patchesOf', [resized], this.pictures, sizes);
      const [, rows, columns] = grid;
      const { queries } = this.model.perceiver;
      const key = mediaKey(media, index);
      pieces.push({ data, rows: rows * columns, count: queries, shape: grid, key }, this.marks);
    }
    return pieces;
  }
}
