import { refuseRequest } from '../../errors.js';
import { defineConfig, type Field, field, flag, integer, oneOf, only } from '../../layers/config/index.js';
import type { EncodeWords } from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { pixelFields, type SlicedKind, type SliceParts, SliceProcessor } from '../base/vision/index.js';
import type { SlicedVision } from './config.js';

const HALF = [0.5, 0.5, 0.5];
const SIDE = integer(1, 4096);

/** The tokens that the published tokenizers have for it. */
const WORDS = {
  imageStart: '<image>',
  imageEnd: '</image>',
  sliceStart: '<slice>',
  sliceEnd: '</slice>',
  numberStart: '<image_id>',
  numberEnd: '</image_id>',
};

/** Whether small pictures stay small: a rule that looks at their letters is not built. */
const keepsSmall: Field<boolean> = {
  read: (json) => json.value('small_image_upsize', oneOf('always', 'never')) === 'never',
};

/** Defaults of transformers 5.24, MiniCPMV4_6ImageProcessor and its kin. */
const slicedPictures = (mode: string) =>
  defineConfig({
    fields: {
      maxSlices: field('max_slice_nums', integer(1, 1000), 9),
      resolution: field('scale_resolution', SIDE, 448),
      patchSize: field('patch_size', SIDE, 14),
      slices: field('slice_mode', flag, true),
      mode: field('downsample_mode', oneOf('16x', '4x'), mode),
      hasNumbers: field('use_image_id', flag, true),
      keepsSmall,
      // Of videos: frames of a second side by side as one picture are not built.
      stacked: field('stack_frames', only(1), 1),
      ...pixelFields({ mean: HALF, std: HALF }),
    },
    irrelevant: {
      max_num_frames: 'is how many frames are drawn of a video file, where here come frames',
      do_sample_frames: 'is whether frames are drawn of a video file, where here come frames',
      return_metadata: 'changes nothing that a model reads',
    },
  });

/**
 * What makes pictures and frames ready for a model of this kind. `ofClass`: patches of which its class makes a token.
 * @throws CONFIG_INVALID, REQUEST_INVALID for files that do not fit config.json
 */
export const slicedProcessor = async (
  folder: ModelFolder,
  config: SlicedVision,
  encode: EncodeWords,
  ofClass: '16x' | '4x',
): Promise<SliceProcessor> => new SliceProcessor(await slicedParts(folder, config, ofClass), encode);

/** The same as parts. @throws as `slicedProcessor` */
export async function slicedParts(
  folder: ModelFolder,
  { vision, mode, block, imageTokenId: image, videoTokenId: video }: SlicedVision,
  ofClass: '16x' | '4x',
): Promise<SliceParts> {
  const { patchSize } = vision;
  const area = mode === '16x' ? 16 : 4;
  const seen = async (processor: 'image_processor' | 'video_processor'): Promise<SlicedKind> => {
    const found = await readProcessorConfig(folder, slicedPictures(ofClass), processor);
    if (found.patchSize !== patchSize)
      refuseRequest('patch_size', `${patchSize}, as that of vision_config`, found.patchSize);
    if (found.mode !== mode) refuseRequest('downsample_mode', `${mode}, as config.json says`, found.mode);
    const maxSlices = found.slices ? found.maxSlices : 1;
    return { ...found, maxSlices, patchSize: patchSize * Math.sqrt(area) };
  };
  const parts = {
    placeholders: { ...(image !== undefined && { image }), ...(video !== undefined && { video }) },
    image: await seen('image_processor'),
    video: await seen('video_processor'),
    words: WORDS,
    frameBreak: '',
    patchSize,
    mergeSize: block,
    tokensOf: (patches: number) => patches / area,
  };
  // Whether pictures have numbers counts for videos, too.
  const { hasNumbers } = parts.image;
  return { ...parts, video: { ...parts.video, hasNumbers } };
}
