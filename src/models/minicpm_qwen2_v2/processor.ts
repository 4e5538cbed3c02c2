import { refuseRequest } from '../../errors.js';
import { constant, defineConfig, field, flag, integer, only, text } from '../../layers/config/index.js';
import { type EncodeWords, tokenOf } from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { channels, SliceProcessor } from '../base/vision/index.js';
import type { Minicpmqwen2v2Config } from './config.js';

const HALF = [0.5, 0.5, 0.5];
const SIDE = integer(1, 4096);
/** Slices of a frame at most, as the published code is called for videos. */
const FRAME_SLICES = 2;

/** Defaults of the published image_processing_minicpmv.py. */
const SLICED_PICTURES = defineConfig({
  fields: {
    maxSlices: field('max_slice_nums', integer(1, 1000), 9),
    resolution: field('scale_resolution', SIDE, 448),
    patchSize: field('patch_size', SIDE, 14),
    hasNumbers: field('use_image_id', flag, false),
    queries: field('image_feature_size', integer(1, 10_000), 64),
    imageStart: field('im_start', text, '<image>'),
    imageEnd: field('im_end', text, '</image>'),
    sliceStart: field('slice_start', text, '<slice>'),
    sliceEnd: field('slice_end', text, '</slice>'),
    // Stands for a picture in texts, and for each of its rows.
    row: field('unk', text, '<unk>'),
    numberStart: field('im_id_start', text, '<image_id>'),
    numberEnd: field('im_id_end', text, '</image_id>'),
    slices: field('slice_mode', only(true), true),
    mean: channels('norm_mean', HALF),
    std: channels('norm_std', HALF),
    rescale: constant(1 / 255),
  },
});

/**
 * Frames stand below each other, without numbers.
 * @throws CONFIG_INVALID, REQUEST_INVALID for a file that does not fit config.json
 */
export async function sliceProcessor(
  folder: ModelFolder,
  { vision, queries }: Minicpmqwen2v2Config,
  encode: EncodeWords,
): Promise<SliceProcessor> {
  const config = await readProcessorConfig(folder, SLICED_PICTURES);
  const { patchSize, row, hasNumbers } = config;
  if (patchSize !== vision.patchSize)
    refuseRequest('patch_size', `${vision.patchSize}, as that of vision_config`, patchSize);
  if (config.queries !== queries)
    refuseRequest('image_feature_size', `${queries}, as query_num says`, config.queries);
  const token = tokenOf(row, encode);
  const maxSlices = Math.min(config.maxSlices, FRAME_SLICES);
  return new SliceProcessor(
    {
      placeholders: token === undefined ? {} : { image: token, video: token },
      partTexts: { image: row, video: row },
      image: { ...config, hasNumbers },
      video: { ...config, maxSlices, hasNumbers: false },
      words: config,
      frameBreak: '\n',
      patchSize,
      mergeSize: 1,
      tokensOf: () => queries,
    },
    encode,
  );
}
