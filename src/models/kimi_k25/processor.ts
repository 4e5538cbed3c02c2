import { refuseRequest } from '../../errors.js';
import { isObject } from '../../is-object.js';
import {
  type ConfigDict,
  constant,
  defineConfig,
  type Field,
  field,
  integer,
  only,
} from '../../layers/config/index.js';
import {
  beside,
  DEFAULT_FPS,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  tokenOf,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { commonSize, picturesOf, pixelFields } from '../base/vision/index.js';
import type { KimiK25Config } from './config.js';

const COUNT = integer(1, 2 ** 31 - 1);
const HALF = [0.5, 0.5, 0.5];

const maxSide: Field<number> = {
  read(json) {
    const size = json.section('size');
    const [height, width] = [size?.value('max_height', COUNT), size?.value('max_width', COUNT)];
    if (height !== width) json.problem(`size must have equal max_height and max_width`);
    return height ?? json.value('patch_limit_on_one_side', COUNT) ?? 512;
  },
};

/** What files of transformers 5.24 say, and those that are published in an object of its own. */
const definition = (limits: readonly string[], fallback: number) => {
  const maxPatches: Field<number> = {
    read(json) {
      const [found = fallback] = limits.map((name) => json.value(name, COUNT)).filter((each) => each != null);
      return found;
    },
  };
  const fields = defineConfig({
    fields: {
      maxPatches,
      maxSide,
      patchSize: field('patch_size', COUNT, 14),
      mergeSize: field(['merge_size', 'merge_kernel_size'], COUNT, 2),
      frames: field(['temporal_patch_size', 'temporal_merge_kernel_size'], COUNT, 4),
      times: field('timestamp_mode', only('hh:mm:ss.fff'), 'hh:mm:ss.fff'),
      ...pixelFields({ mean: HALF, std: HALF }),
      isFused: constant(true),
    },
  });
  return {
    read(dict: ConfigDict, file: string) {
      const { media_proc_cfg: published } = dict;
      return fields.read(isObject(published) ? published : dict, file);
    },
  };
};
const PICTURES = definition(['max_patches', 'in_patch_limit'], 16_384);
const FRAMES = definition(['max_patches', 'in_patch_limit_each_frame', 'in_patch_limit'], 4096);
type Bounds = ReturnType<typeof PICTURES.read>;

/** What a chat template writes for a video; published tokenizers have no token of it. */
const VIDEO = '<|kimi_k25_video_placeholder|>';

/** When something begins, to milliseconds that are cut off. */
function clock(seconds: number): string {
  const parts = [(seconds / 3600) % 24, (seconds / 60) % 60, seconds % 60];
  const written = parts.map((part) => String(Math.floor(part)).padStart(2, '0')).join(':');
  return `${written}.${String(Math.trunc((seconds % 1) * 1000)).padStart(3, '0')}`;
}

/** Pictures up to a number of patches, and frames that are seen a few together, each time behind when they begin. */
export class KimiProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;

  private constructor(
    private readonly pictures: Bounds,
    private readonly frames: Bounds,
    { imageTokenId: image, videoTokenId }: KimiK25Config,
    private readonly encode: EncodeWords,
  ) {
    const video = videoTokenId ?? tokenOf(VIDEO, encode);
    this.placeholders = { ...(image !== undefined && { image }), ...(video !== undefined && { video }) };
    this.rowTokens = image === undefined ? {} : { video: image };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async load(folder: ModelFolder, model: KimiK25Config, encode: EncodeWords): Promise<KimiProcessor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    const frames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    const { patchSize, mergeSize, frames: most } = model.vision;
    for (const found of [pictures, frames]) {
      if (found.patchSize !== patchSize)
        refuseRequest('patch_size', `${patchSize}, as vision_config says`, found.patchSize);
      if (found.mergeSize !== mergeSize)
        refuseRequest('merge_size', `${mergeSize}, as vision_config says`, found.mergeSize);
    }
    if (frames.frames > most)
      refuseRequest('temporal_patch_size', `at most ${most}, as vision_config says`, frames.frames);
    return new KimiProcessor(pictures, frames, model, encode);
  }

  /** @throws MEDIA_*, REQUEST_INVALID for frames of several sizes */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const pictures = await picturesOf(media, what);
    commonSize(pictures, what);
    if (media.kind !== 'video') return [await this.inputOf(pictures, this.pictures, mediaKey(media))];
    const { frames: together } = this.frames;
    const { fps = DEFAULT_FPS } = media;
    const pieces: MediaPiece[] = [];
    for (let from = 0; from < pictures.length; from += together) {
      const shown = pictures.slice(from, from + together) as [Picture, ...Picture[]];
      const before = `${clock(from / fps)}<|media_begin|>video<|media_content|>`;
      const input = await this.inputOf(shown, this.frames, mediaKey(media, from / together));
      pieces.push(this.encode(before), input, this.encode('<|media_end|>'));
    }
    return pieces;
  }

  private async inputOf(pictures: readonly [Picture, ...Picture[]], bounds: Bounds, key: Int32Array) {
    const { patchSize, mergeSize } = bounds;
    const [first, ...others] = pictures;
    const shown: [Picture, ...Picture[]] = [await beside('boundedPicture', first, bounds)];
    for (const frame of others) shown.push(await beside('boundedPicture', frame, bounds));
    const cut = { patchSize, mergeSize, temporalPatchSize: 1 };
    const { data, grid } = await beside('patchesOf', shown, bounds, cut);
    const [frames, rows, columns] = grid;
    const places = rows * columns;
    return { data, rows: frames * places, count: places / mergeSize ** 2, shape: grid, key };
  }
}
