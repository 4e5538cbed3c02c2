import { defineConfig, type Field, field, flag, integer } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncoderInput,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type PixelValues,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { LANCZOS, pixelFields, requireSide, squareInput } from '../base/vision/index.js';
import type { Idefics3Config } from './config.js';

export const longestEdge = (name: string, fallback: number): Field<number> => ({
  read: (json) => json.section(name)?.value('longest_edge', integer(1, 4096)) ?? fallback,
});

const HALF = [0.5, 0.5, 0.5];
/** Defaults of transformers 5.24, Idefics3ImageProcessor. */
const IDEFICS3_PICTURES = defineConfig({
  fields: {
    longest: longestEdge('size', 4 * 364),
    side: longestEdge('max_image_size', 364),
    splits: field('do_image_splitting', flag, true),
    ...pixelFields({ mean: HALF, std: HALF }, LANCZOS),
  },
});
type PictureConfig = ReturnType<(typeof IDEFICS3_PICTURES)['read']>;

/** What the files say. @throws CONFIG_INVALID, REQUEST_INVALID for squares of another size than the encoder's */
export async function readIdefics3Pictures(
  folder: ModelFolder,
  { vision }: Idefics3Config,
): Promise<PictureConfig> {
  const config = await readProcessorConfig(folder, IDEFICS3_PICTURES);
  requireSide('max_image_size', config.side, vision.imageSize);
  return config;
}

/** What stands before each square, and behind the last. */
export const AROUND = '<fake_token_around_image>';
export const WHOLE = '<global-img>';

/** Pictures as squares, which say where they were, and the whole as one more (arXiv:2408.12637, section 3.1). */
export class Idefics3Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    protected readonly pictures: PictureConfig,
    protected readonly model: Idefics3Config,
    protected readonly encode: EncodeWords,
  ) {
    this.placeholders = model.imageTokenId === undefined ? {} : { image: model.imageTokenId };
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const { squares, whole, columns } = await beside('splitsOf', picture, this.pictures, what);
    const pieces: MediaPiece[] = [];
    for (const [index, square] of [...squares, whole].entries()) {
      const isWhole = square === whole;
      const [row, column] = isWhole ? [] : [Math.floor(index / columns), index % columns];
      // Rows end with a line, and one more stands before the whole.
      const lines = index === 0 ? '' : isWhole ? '\n\n' : column === 0 ? '\n' : '';
      const place = row === undefined ? WHOLE : `<row_${row + 1}_col_${(column ?? 0) + 1}>`;
      pieces.push(this.encode(lines + AROUND + place), await this.inputOf(square, mediaKey(media, index)));
    }
    return [...pieces, this.encode(AROUND)];
  }

  protected inputOf(
    square: Picture,
    key: Int32Array,
    values: PixelValues = this.pictures,
  ): Promise<EncoderInput> {
    const {
      vision: { patchSize },
      mergeSize,
    } = this.model;
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    return squareInput(square, values, { patchSize, tokensOf, key, hasFirst: false });
  }
}
