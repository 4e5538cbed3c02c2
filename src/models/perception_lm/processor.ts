import { constant, defineConfig, field, integer, oneOf } from '../../layers/config/index.js';
import {
  beside,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type PixelValues,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { picturesOf, pixelFields, requireSide, squareInput, squareSide } from '../base/vision/index.js';
import type { PerceptionLMConfig } from './config.js';

const PIXELS = {
  ...pixelFields({ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }),
  isFused: constant(true),
};
const SIDE = 448;

/** Defaults of transformers 5.24, PerceptionLMImageProcessor and PerceptionLMVideoProcessor. */
const PICTURES = defineConfig({
  fields: {
    side: field('tile_size', integer(1, 4096), SIDE),
    maxTiles: field('max_num_tiles', integer(1, 1000), 36),
    input: field('vision_input_type', oneOf('thumb+tile', 'vanilla'), 'thumb+tile'),
    ...PIXELS,
  },
});
const FRAMES = defineConfig({ fields: { side: squareSide('size', ['height', 'width'], SIDE), ...PIXELS } });

interface Configs {
  readonly pictures: ReturnType<(typeof PICTURES)['read']>;
  readonly frames: ReturnType<(typeof FRAMES)['read']>;
}

/** The whole of a picture, then its tiles, one behind the other without a word between them; frames as one square each. */
export class PerceptionLMProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly configs: Configs,
    private readonly model: PerceptionLMConfig,
  ) {
    const { imageTokenId: image, videoTokenId: video } = model;
    this.placeholders = {
      ...(image !== undefined && { image }),
      ...(video !== undefined && { video }),
    };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of another size than the encoder's */
  static async load(folder: ModelFolder, model: PerceptionLMConfig): Promise<PerceptionLMProcessor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    const frames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    const { imageSize } = model.vision.sizes;
    requireSide('tile_size', pictures.side, imageSize);
    requireSide('size', frames.side, imageSize);
    return new PerceptionLMProcessor({ pictures, frames }, model);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { pictures, frames } = this.configs;
    const shown = await picturesOf(media, what);
    const [values, side]: [PixelValues, number] =
      media.kind === 'video' ? [frames, frames.side] : [pictures, pictures.side];
    const isWhole = media.kind === 'video' || pictures.input === 'vanilla';
    const squares = [];
    for (const picture of shown)
      squares.push(
        ...(isWhole
          ? [await beside('resize', picture, { width: side, height: side }, 'bicubic')]
          : await beside('fittedTiles', picture, pictures)),
      );
    const {
      sizes: { patchSize, hasFirst },
    } = this.model.vision;
    const tokensOf = (count: number): number => count / this.model.mergeSize ** 2;
    return Promise.all(
      squares.map((square, index) =>
        squareInput(square, values, { patchSize, hasFirst, tokensOf, key: mediaKey(media, index) }),
      ),
    );
  }
}
