import { defineConfig, type Field, field, integer, only } from '../../../layers/config/index.js';
import {
  beside,
  type EncodeWords,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';
import { picturesOf } from './patch-processor.js';
import { CLIP_CHANNELS, filterOf, pixelFields, requireSide } from './picture-config.js';
import { squareInput, squareSide } from './square-processor.js';

/** The least that the shorter side of a picture becomes, which is no more than there is room for. */
export const shortestSide = (side: string): Field<number, { readonly side: number }> => ({
  read(json, { side: most }) {
    const found = json.value('min_size', integer(1, 4096)) ?? 14;
    return found <= most ? found : json.fail(`min_size must be at most ${side} (${most}), found ${found}`);
  },
});

/** Defaults of transformers 5.24, JanusImageProcessor and DeepseekVLImageProcessor. */
const FITTED_PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 384),
    minSide: shortestSide('size'),
    pads: field('do_pad', only(true), true),
    ...pixelFields(CLIP_CHANNELS),
    resample: filterOf('resample'),
  },
  irrelevant: { background_color: 'follows from image_mean' },
});
type FittedConfig = ReturnType<(typeof FITTED_PICTURES)['read']>;

/** What pictures leave free of a square: the colour that becomes about zero. */
export const colourOf = (mean: readonly number[]): number[] => mean.map((value) => Math.trunc(value * 255));

/** What such a processor is told by the configuration of its model. */
export interface FittedModel {
  readonly imageTokenId: number | undefined;
  readonly vision: { readonly imageSize: number; readonly patchSize: number };
}

/** Whole pictures in their own shape, each in the middle of a square, perhaps between two tokens. */
export class FittedProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  /** `between`: the words before a picture and behind it; none when absent. */
  constructor(
    private readonly config: FittedConfig,
    private readonly model: FittedModel,
    private readonly between?: { readonly words: readonly [string, string]; readonly encode: EncodeWords },
  ) {
    this.placeholders = forPictures(model.imageTokenId);
  }

  /** What the files say. @throws CONFIG_INVALID, REQUEST_INVALID for squares of another size than the encoder's */
  static async configOf(folder: ModelFolder, { vision }: FittedModel): Promise<FittedConfig> {
    const config = await readProcessorConfig(folder, FITTED_PICTURES);
    requireSide('size', config.side, vision.imageSize);
    return config;
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { side, minSide, mean, resample: filter } = this.config;
    const [picture] = await picturesOf(media, what);
    const square = await beside('fittedSquare', picture, { side, minSide, filter, colour: colourOf(mean) });
    const input = await squareInput(square, this.config, {
      patchSize: this.model.vision.patchSize,
      tokensOf: (patches) => patches,
      key: mediaKey(media),
      hasFirst: false,
    });
    if (!this.between) return [input];
    const [before, behind] = this.between.words.map((words) => this.between?.encode(words) ?? []);
    return [before ?? [], input, behind ?? []];
  }
}
