import { refuseRequest } from '../../../errors.js';
import {
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  integer,
  listOf,
  only,
  positive,
  WIDTH,
} from '../../../layers/config/index.js';
import type { ResamplingFilter } from '../../../media/index.js';

/** CLIP's, which Qwen2-VL took over. */
export const CLIP_CHANNELS = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};

/** Filters, in Pillow's numbers. */
export const LANCZOS = 1;
export const BILINEAR = 2;
const BICUBIC = 3;
const SIDE = integer(1, 1000);
const PIXELS = integer(1, 2 ** 31 - 1);
const CHANNELS = listOf(positive(1e6, -1e6), '3 numbers');

/** Refuses pictures of another side than the encoder has positions for. `name`: what the file calls their side. */
export function requireSide(name: string, side: number, imageSize: number): void {
  if (side !== imageSize) refuseRequest(name, `${imageSize}, as image_size says`, side);
}

/** `name` itself, which counts where it stands, or a member of `size`, whose name counts before the older one. */
const pixels = (name: string, member: string, fallback: number): Field<number> => ({
  read(json) {
    const size = json.section('size');
    const [inSize, older] = [size?.value(member, PIXELS), size?.value(name, PIXELS)];
    return json.value(name, PIXELS) ?? inSize ?? older ?? fallback;
  },
});

/** A number for each of three channels. */
export const channels = (
  name: string | readonly string[],
  fallback: readonly number[],
): Field<readonly number[]> => ({
  read(json) {
    const found = json.value(name, CHANNELS) ?? fallback;
    return found.length === 3
      ? found
      : json.fail(`${[name].flat()[0]} must have 3 numbers, found ${found.length}`);
  },
});

/** What a family's class does where the files say nothing. */
export interface PictureDefaults {
  readonly patchSize: number;
  readonly minPixels: number;
  readonly maxPixels: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The filter by which pictures are resized, by Pillow's numbers: bicubic where the file says none. */
export const filterOf = (name: string): Field<ResamplingFilter> => ({
  read(json) {
    const found = json.value(name, integer(0, 5)) ?? BICUBIC;
    const filters: Readonly<Record<number, ResamplingFilter>> = {
      [LANCZOS]: 'lanczos',
      [BILINEAR]: 'bilinear',
      [BICUBIC]: 'bicubic',
    };
    return (
      filters[found] ?? json.fail(`${name} must be ${LANCZOS}, ${BILINEAR} or ${BICUBIC}, found ${found}`)
    );
  },
});

/** How pixels become numbers, in all families, with what a class does where the files say nothing; by which filter they are made. */
export const pixelFields = ({ mean, std }: Pick<PictureDefaults, 'mean' | 'std'>, filter = BICUBIC) => ({
  mean: channels('image_mean', mean),
  std: channels('image_std', std),
  rescale: field('rescale_factor', positive(1), 1 / 255),
  resample: field('resample', only(filter), filter),
  resizes: field('do_resize', only(true), true),
  rescales: field('do_rescale', only(true), true),
  normalizes: field('do_normalize', only(true), true),
});

/** How a processor cuts what it sees into patches. */
export const patchFields = (defaults: PictureDefaults) => ({
  patchSize: field('patch_size', SIDE, defaults.patchSize),
  temporalPatchSize: field('temporal_patch_size', SIDE, 2),
  mergeSize: field('merge_size', SIDE, 2),
  // Otherwise frames of long videos would be smaller.
  capsFrames: field('cap_pixels_per_frame', only(false), false),
  minPixels: pixels('min_pixels', 'shortest_edge', defaults.minPixels),
  maxPixels: pixels('max_pixels', 'longest_edge', defaults.maxPixels),
  ...pixelFields(defaults),
  channels: field('in_channels', WIDTH, 3),
});

/** What a processor does with pictures, as preprocessor_config.json says it. */
export const pictureConfig = (defaults: PictureDefaults) =>
  defineConfig({
    fields: patchFields(defaults),
    irrelevant: {
      do_convert_rgb: 'every picture becomes RGB',
      image_processor_type: 'names a class of transformers',
      processor_class: 'names a class of transformers',
    },
  });
export type PictureConfig = ConfigOf<ReturnType<typeof pictureConfig>>;
