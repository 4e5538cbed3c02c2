import { defineConfig, only } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncoderInput,
  type EncodeWords,
  type MediaFiles,
  type MediaProcessor,
  mediaKey,
  tokenOf,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { pixelFields, requireSide, squareInput, squareSide } from '../base/vision/index.js';
import { PIXELS } from '../fast_vlm/index.js';
import type { LlavaQwen2Config } from './config.js';

/** What stands for a picture in texts, where it is a token. */
const PICTURE = '<image>';
/** What does so where it is none: a token of Qwen2 that dialogues do not have. */
const OTHER = '<|endoftext|>';

/** Numbers from 0 to 1, as the published code has them where the files are silent. */
const pictures = (side: number) =>
  defineConfig({
    fields: {
      resized: squareSide('size', ['shortest_edge', 'height'], side),
      crop: squareSide('crop_size', ['height', 'width'], side),
      ...pixelFields({ mean: [0, 0, 0], std: [1, 1, 1] }),
      crops: { read: (json) => json.value('do_center_crop', only(true)) ?? true },
    },
  });

/** Pictures in the middle of a black square, or the middle square of them, drawn to one size. */
export class LlavaQwen2Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;
  readonly partTexts: NonNullable<MediaProcessor['partTexts']>;

  private constructor(
    private readonly config: ReturnType<ReturnType<typeof pictures>['read']>,
    { imageTokenId = 0 }: LlavaQwen2Config,
    private readonly isPadded: boolean,
    encode: EncodeWords,
  ) {
    const picture = tokenOf(PICTURE, encode);
    const other = tokenOf(OTHER, encode);
    const placeholder = picture ?? other;
    this.placeholders = placeholder === undefined ? {} : { image: placeholder };
    this.rowTokens = { image: imageTokenId };
    this.partTexts = { image: picture === undefined ? OTHER : PICTURE };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for pictures of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    model: LlavaQwen2Config,
    encode: EncodeWords,
  ): Promise<LlavaQwen2Processor> {
    const side = model.tokensAlong * PIXELS;
    const config = await readProcessorConfig(folder, pictures(side));
    requireSide('crop_size', config.crop, side);
    requireSide('size', config.resized, side);
    return new LlavaQwen2Processor(config, model, model.aspect === 'pad', encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly EncoderInput[]> {
    const { crop, mean } = this.config;
    const [file = new Uint8Array()] = media.files;
    const decoded = await decodePicture(file, what);
    const colour = mean.map((value) => Math.trunc(255 * value));
    const square = this.isPadded
      ? await beside('paddedSquare', decoded, crop, colour)
      : await beside('middleSquare', decoded, crop, crop, what);
    const tokensOf = (patches: number): number => patches;
    const key = mediaKey(media);
    return [await squareInput(square, this.config, { patchSize: PIXELS, tokensOf, key, hasFirst: true })];
  }
}
