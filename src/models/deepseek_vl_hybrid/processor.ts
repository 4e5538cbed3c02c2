import { defineConfig, field, only } from '../../layers/config/index.js';
import {
  beside,
  type EncoderInput,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import {
  CLIP_CHANNELS,
  channels,
  colourOf,
  filterOf,
  picturesOf,
  pixelFields,
  requireSide,
  shortestSide,
  squareInput,
  squareSide,
} from '../base/vision/index.js';
import type { DeepseekVlHybridConfig } from './config.js';

/** Defaults of transformers 5.24, DeepseekVLHybridImageProcessor. */
const HYBRID_PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 384),
    minSide: shortestSide('size'),
    fineSide: squareSide('high_res_size', ['height', 'width'], 1024),
    fineMean: channels('high_res_image_mean', CLIP_CHANNELS.mean),
    fineStd: channels('high_res_image_std', CLIP_CHANNELS.std),
    fineFilter: filterOf('high_res_resample'),
    pads: field('do_pad', only(true), true),
    ...pixelFields(CLIP_CHANNELS),
    resample: filterOf('resample'),
  },
  irrelevant: {
    background_color: 'follows from image_mean',
    high_res_background_color: 'follows from high_res_image_mean',
  },
});
type HybridPictures = ReturnType<(typeof HYBRID_PICTURES)['read']>;

/** Whole pictures in the middle of a large square and, made of that, of a small one. */
export class HybridProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  private constructor(
    private readonly pictures: HybridPictures,
    private readonly model: DeepseekVlHybridConfig,
  ) {
    this.placeholders = forPictures(model.imageTokenId);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of other sizes than the encoders' */
  static async load(folder: ModelFolder, model: DeepseekVlHybridConfig): Promise<HybridProcessor> {
    const pictures = await readProcessorConfig(folder, HYBRID_PICTURES);
    requireSide('size', pictures.side, model.vision.imageSize);
    requireSide('high_res_size', pictures.fineSide, model.fine.imageSize);
    return new HybridProcessor(pictures, model);
  }

  /** Patches of the large square before those of the small one. @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { side, minSide, mean, std, resample: filter, rescale, ...large } = this.pictures;
    const { fineSide, fineMean, fineStd, fineFilter } = large;
    const { vision, fine } = this.model;
    const [picture] = await picturesOf(media, what);
    const key = mediaKey(media);
    const fineSize = { side: fineSide, minSide, filter: fineFilter, colour: colourOf(fineMean) };
    const square = await beside('fittedSquare', picture, fineSize);
    const small = await beside('fittedSquare', square, { side, minSide, filter, colour: colourOf(mean) });
    const sizes = { key, tokensOf: (patches: number) => patches, hasFirst: false };
    const views = [
      await squareInput(square, { mean: fineMean, std: fineStd, rescale }, { ...sizes, ...fine }),
      await squareInput(small, { mean, std, rescale }, { ...sizes, ...vision }),
    ] as const;
    return [besideEachOther(...views)];
  }
}

/** A picture in two sizes, of which the second says how many tokens there are. */
function besideEachOther(first: EncoderInput, second: EncoderInput): EncoderInput {
  const data = new Float32Array(first.data.length + second.data.length);
  data.set(first.data);
  data.set(second.data, first.data.length);
  const rows = first.rows + second.rows;
  return { data, rows, count: second.count, shape: [1, rows, 1], key: first.key };
}
