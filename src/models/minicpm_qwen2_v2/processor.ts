import { refuseRequest } from '../../errors.js';
import {
  type ConfigOf,
  constant,
  defineConfig,
  field,
  flag,
  integer,
  only,
  text,
} from '../../layers/config/index.js';
import {
  beside,
  type EncodeWords,
  type MediaFiles,
  type MediaKind,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  tokenOf,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { channels, picturesOf } from '../base/vision/index.js';
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
type SlicedPictures = ConfigOf<typeof SLICED_PICTURES>;

/**
 * Pictures as a whole and in slices, between texts that number them and mark where each begins and ends. Frames are pictures
 * without numbers, each on a line of its own.
 */
export class SliceProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly partTexts: { readonly image: string; readonly video: string };

  /** Ids of what stands around pictures and slices, and between rows of slices. */
  private readonly marks: Readonly<
    Record<'begin' | 'end' | 'beginSlice' | 'endSlice' | 'line', readonly number[]>
  >;

  private constructor(
    private readonly config: SlicedPictures,
    private readonly encode: EncodeWords,
  ) {
    const token = tokenOf(config.row, encode);
    this.placeholders = token === undefined ? {} : { image: token, video: token };
    this.partTexts = { image: config.row, video: config.row };
    const { imageStart, imageEnd, sliceStart, sliceEnd } = config;
    const [begin, end] = [encode(imageStart), encode(imageEnd)];
    this.marks = {
      begin,
      end,
      beginSlice: encode(sliceStart),
      endSlice: encode(sliceEnd),
      line: encode('\n'),
    };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for a file that does not fit config.json */
  static async load(
    folder: ModelFolder,
    { vision, queries }: Minicpmqwen2v2Config,
    encode: EncodeWords,
  ): Promise<SliceProcessor> {
    const config = await readProcessorConfig(folder, SLICED_PICTURES);
    if (config.patchSize !== vision.patchSize)
      refuseRequest('patch_size', `${vision.patchSize}, as that of vision_config`, config.patchSize);
    if (config.queries !== queries)
      refuseRequest('image_feature_size', `${queries}, as query_num says`, config.queries);
    return new SliceProcessor(config, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string, place: number): Promise<readonly MediaPiece[]> {
    const pieces: MediaPiece[] = [];
    for (const picture of await picturesOf(media, what)) {
      const before = pieces.filter((piece) => 'data' in piece).length;
      const keyOf = (part: number): Int32Array => mediaKey(media, before + part);
      // Frames stand below each other.
      if (before > 0) pieces.push(this.marks.line);
      pieces.push(...(await this.slicesOf(picture, media.kind, keyOf, what)));
    }
    const { hasNumbers, numberStart, numberEnd } = this.config;
    const isNumbered = hasNumbers && media.kind === 'image';
    return isNumbered ? [this.encode(`${numberStart}${place}${numberEnd}`), ...pieces] : pieces;
  }

  private async slicesOf(
    picture: Picture,
    kind: MediaKind,
    keyOf: (part: number) => Int32Array,
    what: string,
  ): Promise<MediaPiece[]> {
    const { config, marks } = this;
    const { patchSize, queries, maxSlices } = config;
    const most = kind === 'video' ? Math.min(maxSlices, FRAME_SLICES) : maxSlices;
    const { pictures, grid } = await beside('slicesOf', picture, { ...config, maxSlices: most }, what);
    const sizes = { patchSize, temporalPatchSize: 1, mergeSize: 1 };
    const cut = await Promise.all(pictures.map((each) => beside('patchesOf', [each], config, sizes)));
    return cut.flatMap(({ data, grid: shape }, part): MediaPiece[] => {
      const rows = data.length / (3 * patchSize * patchSize);
      const input = { data, rows, count: queries, shape, key: keyOf(part) };
      if (part === 0) return [marks.begin, input, marks.end];
      // Slices stand as in the picture.
      const isBelow = part > 1 && (part - 1) % (grid?.columns ?? 1) === 0;
      return [isBelow ? marks.line : [], marks.beginSlice, input, marks.endSlice];
    });
  }
}
