import { defineConfig, type Field, field, flag, integer } from '../../layers/config/index.js';
import { beside, type EncodeWords, type Picture } from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import {
  LANCZOS,
  type PlacedSquares,
  PlacedSquaresProcessor,
  pixelFields,
  requireSide,
} from '../base/vision/index.js';
import type { Idefics3Config } from './config.js';

const longestEdge = (name: string, fallback: number): Field<number> => ({
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

/** Idefics 3's: squares of pictures that are drawn to a longest side. */
export class Idefics3Processor extends PlacedSquaresProcessor {
  private constructor(
    private readonly pictures: PictureConfig,
    model: Idefics3Config,
    encode: EncodeWords,
  ) {
    super(pictures, model, encode);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    model: Idefics3Config,
    encode: EncodeWords,
  ): Promise<Idefics3Processor> {
    const config = await readProcessorConfig(folder, IDEFICS3_PICTURES);
    const { imageSize } = model.vision;
    requireSide('max_image_size', config.side, imageSize);
    return new Idefics3Processor(config, model, encode);
  }

  protected override cut(picture: Picture, what: string): Promise<PlacedSquares> {
    return beside('splitsOf', picture, this.pictures, what);
  }
}
