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

/** Idefics 3's: squares of pictures that are drawn to a longest side. */
export class Idefics3Processor extends PlacedSquaresProcessor {
  constructor(
    private readonly pictures: PictureConfig,
    model: Idefics3Config,
    encode: EncodeWords,
  ) {
    super(pictures, model, encode);
  }

  protected override cut(picture: Picture, what: string): Promise<PlacedSquares> {
    return beside('splitsOf', picture, this.pictures, what);
  }
}
