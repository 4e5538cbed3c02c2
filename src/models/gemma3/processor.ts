import { defineConfig, field, flag, integer, positive } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncoderInput,
  type EncodeWords,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
} from '../../media/index.js';
import { lineJoins } from '../base/line-joins.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { BILINEAR, pixelFields, requireSide, squareInput, squareSide } from '../base/vision/index.js';
import type { Gemma3VisionConfig } from './config-gemma3.js';

const HALF = [0.5, 0.5, 0.5];
const COUNT = integer(1, 1_000_000);
/** Defaults of transformers 5.24, Gemma3ImageProcessor and Gemma3Processor. */
const GEMMA3_PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 224),
    ...pixelFields({ mean: HALF, std: HALF }, BILINEAR),
    scans: field('do_pan_and_scan', flag, false),
    minSide: field('pan_and_scan_min_crop_size', COUNT, 256),
    maxPieces: field('pan_and_scan_max_num_crops', COUNT, 4),
    minRatio: field('pan_and_scan_min_ratio_to_activate', positive(1e6), 1.2),
  },
});
type PictureConfig = ReturnType<(typeof GEMMA3_PICTURES)['read']>;

/** What stands before a picture of which pieces follow, and before these. */
const ORIGINAL = 'Here is the original image ';
const PIECES = ' and here are some crops to help you see better ';
/** Lines about a picture. */
const LINES = '\n\n';

/**
 * Whole pictures drawn out to one square, each between its begin, its end and lines; where files ask for it, pieces of long
 * ones behind them.
 */
export class Gemma3Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;
  readonly joins: NonNullable<MediaProcessor['joins']>;

  constructor(
    private readonly pictures: PictureConfig,
    private readonly model: Gemma3VisionConfig,
    private readonly encode: EncodeWords,
  ) {
    const { imageStartId, imageTokenId } = model;
    this.placeholders = imageStartId === undefined ? {} : { image: imageStartId };
    this.rowTokens = forPictures(imageTokenId);
    this.joins = lineJoins(encode);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for pictures of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    model: Gemma3VisionConfig,
    encode: EncodeWords,
  ): Promise<Gemma3Processor> {
    const config = await readProcessorConfig(folder, GEMMA3_PICTURES);
    const { imageSize } = model.vision;
    requireSide('size', config.side, imageSize);
    return new Gemma3Processor(config, model, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const pieces = this.pictures.scans ? await beside('scanOf', picture, this.pictures) : [];
    const shown: MediaPiece[] = [];
    const { imageStartId, imageEndId } = this.model;
    const ids = (id: number | undefined) => (id === undefined ? [] : [id]);
    const [before, behind] = pieces.length > 0 ? [ORIGINAL, PIECES] : ['', ''];
    let words = [...this.encode(before + LINES), ...ids(imageStartId)];
    for (const [index, seen] of [picture, ...pieces].entries()) {
      const last = index === pieces.length;
      const next = last ? '' : (index === 0 ? behind : ' ') + LINES;
      shown.push(words, await this.inputOf(seen, mediaKey(media, index)));
      words = [...ids(imageEndId), ...this.encode(LINES + next), ...(last ? [] : ids(imageStartId))];
    }
    return [...shown, words];
  }

  private async inputOf(picture: Picture, key: Int32Array): Promise<EncoderInput> {
    const { side } = this.pictures;
    const { vision, mergeSize } = this.model;
    const square = await beside('resize', picture, { width: side, height: side }, 'bilinear');
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    const sizes = { patchSize: vision.patchSize, tokensOf, key, hasFirst: false };
    return { ...(await squareInput(square, this.pictures, sizes)), isWhole: true };
  }
}
