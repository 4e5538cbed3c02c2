import { defineConfig, field, flag, integer } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  tokenOf,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { BILINEAR, pixelFields, requireSide, squareInput, squareSide } from '../base/vision/index.js';
import type { Llama4Config } from './config.js';

const HALF = [0.5, 0.5, 0.5];
/** Defaults of transformers 5.24, Llama4ImageProcessor. */
const LLAMA4_PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 336),
    maxTiles: field('max_patches', integer(1, 1000), 16),
    fillsCanvas: field('resize_to_max_canvas', flag, false),
    ...pixelFields({ mean: HALF, std: HALF }, BILINEAR),
  },
});
type PictureConfig = ReturnType<(typeof LLAMA4_PICTURES)['read']>;

/** What stands for a picture in texts, and before the square that is the whole of it. */
const IMAGE = '<|image|>';
const [BEFORE, BEHIND] = ['<|image_start|>', '<|image_end|>'];
/** What stands between squares of a row, and behind each row. */
const [BESIDE, BELOW] = ['<|tile_x_separator|>', '<|tile_y_separator|>'];

/** Pictures as squares of a canvas, row by row, and the whole as one more. */
export class Llama4Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;

  constructor(
    private readonly pictures: PictureConfig,
    private readonly model: Llama4Config,
    private readonly encode: EncodeWords,
  ) {
    const [image, row] = [tokenOf(IMAGE, encode), model.imageTokenId];
    this.placeholders = image === undefined ? {} : { image };
    this.rowTokens = row === undefined ? {} : { image: row };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of another size than the encoder's */
  static async load(folder: ModelFolder, model: Llama4Config, encode: EncodeWords): Promise<Llama4Processor> {
    const config = await readProcessorConfig(folder, LLAMA4_PICTURES);
    const { imageSize } = model.vision;
    requireSide('size', config.side, imageSize);
    return new Llama4Processor(config, model, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { patchSize, mergeSize } = this.model.vision;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const { squares, whole, columns } = await beside('canvasOf', picture, this.pictures);
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    const pieces: MediaPiece[] = [];
    for (const [index, square] of [...squares, whole].entries()) {
      const separator = index === 0 ? '' : index % columns === 0 ? BELOW : BESIDE;
      const words = (index === 0 ? BEFORE : '') + separator + (square === whole ? IMAGE : '');
      // Values are bfloat16, whatever the model's are.
      const values = { ...this.pictures, roundedTo: 'bf16' } as const;
      const sizes = { patchSize, tokensOf, key: mediaKey(media, index) };
      pieces.push(this.encode(words), await squareInput(square, values, sizes));
    }
    return [...pieces, this.encode(BEHIND)];
  }
}
