import {
  decodePicture,
  type EncoderInput,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type PixelValues,
} from '../../../media/index.js';
import { squareInput } from './square-processor.js';

/** What stands before each square, and behind the last. */
export const AROUND = '<fake_token_around_image>';
export const WHOLE = '<global-img>';

/** A picture as squares, row by row, and the whole as one more, where there is one. */
export interface PlacedSquares {
  readonly squares: readonly Picture[];
  readonly columns: number;
  readonly whole?: Picture | undefined;
}

/** What a processor of squares is told by the model. */
export interface SquaresModel {
  readonly imageTokenId: number | undefined;
  /** Patches along a side of a block, which becomes one token. */
  readonly mergeSize: number;
  readonly vision: { readonly patchSize: number };
}

/** Pictures as squares, which say where they were, and the whole as one more (arXiv:2408.12637, section 3.1). */
export abstract class PlacedSquaresProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly values: PixelValues,
    private readonly model: SquaresModel,
    protected readonly encode: EncodeWords,
  ) {
    this.placeholders = model.imageTokenId === undefined ? {} : { image: model.imageTokenId };
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const [file = new Uint8Array()] = media.files;
    const { squares, whole, columns } = await this.cut(await decodePicture(file, what), what);
    const pieces: MediaPiece[] = [];
    for (const [index, square] of [...squares, ...(whole ? [whole] : [])].entries()) {
      const isWhole = square === whole;
      const [row, column] = isWhole ? [] : [Math.floor(index / columns), index % columns];
      // Rows end with a line, and one more stands before the whole.
      const lines = index === 0 ? '' : isWhole ? '\n\n' : column === 0 ? '\n' : '';
      const place = row === undefined ? WHOLE : `<row_${row + 1}_col_${(column ?? 0) + 1}>`;
      pieces.push(this.encode(lines + AROUND + place), await this.inputOf(square, mediaKey(media, index)));
    }
    return [...pieces, this.encode(whole ? AROUND : '\n')];
  }

  protected inputOf(square: Picture, key: Int32Array, values = this.values): Promise<EncoderInput> {
    const {
      vision: { patchSize },
      mergeSize,
    } = this.model;
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    return squareInput(square, values, { patchSize, tokensOf, key, hasFirst: false });
  }

  /** @throws MEDIA_UNSUPPORTED */
  protected abstract cut(picture: Picture, what: string): Promise<PlacedSquares>;
}
