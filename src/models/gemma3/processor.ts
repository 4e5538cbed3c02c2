import { refuseRequest } from '../../errors.js';
import { defineConfig, field, only } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { BILINEAR, pixelFields, squareInput, squareSide } from '../base/vision/index.js';
import type { Gemma3VisionConfig } from './config-gemma3.js';

const HALF = [0.5, 0.5, 0.5];
/** Defaults of transformers 5.24, Gemma3ImageProcessor. */
const GEMMA3_PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 224),
    ...pixelFields({ mean: HALF, std: HALF }, BILINEAR),
    scans: field('do_pan_and_scan', only(false), false),
  },
});
type PictureConfig = ReturnType<(typeof GEMMA3_PICTURES)['read']>;

/** Lines about a picture. */
const LINES = '\n\n';
/** So many line feeds may be one token. */
const MOST_LINES = 31;

/** Whole pictures drawn out to one square, each between its begin, its end and lines. */
export class Gemma3Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;
  /** Line feeds that are one token, by it. */
  private readonly lines: ReadonlyMap<number, number>;

  constructor(
    private readonly pictures: PictureConfig,
    private readonly model: Gemma3VisionConfig,
    private readonly encode: EncodeWords,
  ) {
    const { imageStartId, imageTokenId } = model;
    this.placeholders = imageStartId === undefined ? {} : { image: imageStartId };
    this.rowTokens = imageTokenId === undefined ? {} : { image: imageTokenId };
    const runs = Array.from({ length: MOST_LINES }, (_, i) => ({
      count: i + 1,
      ids: encode('\n'.repeat(i + 1)),
    }));
    this.lines = new Map(
      runs.flatMap(({ count, ids: [id, ...more] }) =>
        id === undefined || more.length > 0 ? [] : [[id, count]],
      ),
    );
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for pictures of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    model: Gemma3VisionConfig,
    encode: EncodeWords,
  ): Promise<Gemma3Processor> {
    const config = await readProcessorConfig(folder, GEMMA3_PICTURES);
    const { imageSize } = model.vision;
    if (config.side !== imageSize) refuseRequest('size', `${imageSize}, as image_size says`, config.side);
    return new Gemma3Processor(config, model, encode);
  }

  /** Line feeds before and behind a picture would be one text with those about it. */
  joins(left: number, right: number): readonly number[] | undefined {
    const counts = [this.lines.get(left), this.lines.get(right)];
    return counts.includes(undefined)
      ? undefined
      : this.encode('\n'.repeat((counts[0] ?? 0) + (counts[1] ?? 0)));
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { side } = this.pictures;
    const {
      vision: { patchSize },
      mergeSize,
      imageStartId,
      imageEndId,
    } = this.model;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const square = await beside('resize', picture, { width: side, height: side }, 'bilinear');
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    const input = await squareInput(square, this.pictures, {
      patchSize,
      tokensOf,
      key: mediaKey(media),
      hasFirst: false,
    });
    const words = (ids: readonly (number | undefined)[]) => ids.filter((id) => id !== undefined);
    return [
      words([...this.encode(LINES), imageStartId]),
      { ...input, isWhole: true },
      words([imageEndId, ...this.encode(LINES)]),
    ];
  }
}
