import { refuseRequest } from '../../errors.js';
import { type ConfigOf, constant, defineConfig, field, integer } from '../../layers/config/index.js';
import {
  beside,
  cutOut,
  decodePicture,
  type EncodeWords,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  onBlack,
  type Picture,
  type PictureSize,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { BILINEAR, CLIP_CHANNELS, pixelFields, squareInput, squareSide } from '../base/vision/index.js';
import type { Step3p7Config, Step3p7Vision } from './config.js';

const SIDE = integer(1, 10_000);

/** Defaults of transformers 5.24, Step3p7ImageProcessor. */
const PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 728),
    squareSide: field('patch_size', SIDE, 504),
    longest: field('max_image_size', SIDE, 3024),
    ...pixelFields(CLIP_CHANNELS, BILINEAR),
    resizes: constant(true),
    isFused: constant(true),
  },
});
type Pictures = ConfigOf<typeof PICTURES>;

/** How many of its rows along a side become one token. */
const STRIDE = 4;

/** What a picture is cut into: `window` pixels along a side of a square, 0: it is seen as a whole alone. */
interface Plan {
  readonly whole: PictureSize;
  readonly cut: PictureSize;
  readonly window: number;
}

/** How its processor of transformers cuts a picture that is no narrow line. */
function planOf({ width, height }: PictureSize, { side, squareSide: most, longest }: Pictures): Plan {
  const scale = longest / Math.max(width, height);
  const whole =
    scale < 1 ? { width: Math.trunc(width * scale), height: Math.trunc(height * scale) } : { width, height };
  const [short, long] = [Math.min(whole.width, whole.height), Math.max(whole.width, whole.height)];
  const isLong = long / short > 4;
  const fits = long <= side;
  const window = fits ? (long / short > 1.5 ? short : 0) : isLong ? Math.min(short, most) : most;
  const snapped = (along: number): number =>
    along < window ? along : window * (Math.floor(along / window) + (along % window > 0.2 * window ? 1 : 0));
  if (window === 0) return { whole, cut: whole, window };
  return { whole, cut: { width: snapped(whole.width), height: snapped(whole.height) }, window };
}

/** Narrow lines on a black square; others as they are. */
function squared(picture: Picture): Picture {
  const { width, height } = picture;
  const isLine = Math.min(width, height) < 32 && Math.max(width / height, height / width) > 4;
  const side = Math.max(width, height);
  return isLine ? onBlack(picture, { width: side, height: side }) : picture;
}

/** Squares of a picture, line by line, then the whole of it. */
export class Step3p7Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pictures: Pictures,
    private readonly patchSize: number,
    imageTokenId: number | undefined,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = forPictures(imageTokenId);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares that are no whole tokens */
  static async load(
    folder: ModelFolder,
    { imageTokenId }: Step3p7Config,
    { patchSize }: Step3p7Vision,
    encode: EncodeWords,
  ): Promise<Step3p7Processor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    const token = patchSize * STRIDE;
    for (const [name, side] of [
      ['size', pictures.side],
      ['patch_size', pictures.squareSide],
    ] as const)
      if (side % token !== 0)
        refuseRequest(name, `a multiple of ${token} pixels, of which a token is made`, side);
    return new Step3p7Processor(pictures, patchSize, imageTokenId, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { pictures, encode } = this;
    const [file = new Uint8Array()] = media.files;
    const picture = squared(await decodePicture(file, what));
    const { whole, cut, window } = planOf(picture, pictures);
    const square = (from: Picture, side: number) =>
      beside('resize', from, { width: side, height: side }, 'bilinear');
    const pieces: MediaPiece[] = [];
    const [columns, rows] = [cut.width, cut.height].map((along) =>
      window === 0 ? 0 : Math.max(1, Math.floor(along / window)),
    ) as [number, number];
    const canvas = window === 0 ? picture : await beside('resize', picture, cut, 'bilinear');
    for (let index = 0; index < columns * rows; index++) {
      const [left, top] = [(index % columns) * window, Math.floor(index / columns) * window];
      const size = { width: Math.min(window, cut.width), height: Math.min(window, cut.height) };
      const part = await square(cutOut(canvas, { left, top, ...size }), pictures.squareSide);
      const ends = (index + 1) % columns === 0 && index + 1 < columns * rows;
      pieces.push(encode('<patch_start>'), await this.inputOf(part, media, index));
      pieces.push([...encode('<patch_end>'), ...(ends ? encode('<patch_newline>') : [])]);
    }
    const seen = await square(await beside('resize', picture, whole, 'bilinear'), pictures.side);
    return [
      ...pieces,
      encode('<im_start>'),
      await this.inputOf(seen, media, columns * rows),
      encode('<im_end>'),
    ];
  }

  private inputOf(square: Picture, media: MediaFiles, index: number) {
    return squareInput(square, this.pictures, {
      patchSize: this.patchSize,
      tokensOf: (patches) => patches / STRIDE ** 2,
      key: mediaKey(media, index),
      hasFirst: false,
    });
  }
}
