import { refuseRequest } from '../../../errors.js';
import {
  beside,
  decodePicture,
  type EncoderInput,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type PatchSizes,
  type Picture,
  type PictureSize,
  type PixelValues,
  smartResize,
} from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';
import { CLIP_CHANNELS, type PictureConfig, pictureConfig } from './picture-config.js';

/** Defaults of transformers 5.24, Qwen2VLImageProcessor and Qwen2VLVideoProcessor. */
const QWEN2_VL = {
  pictures: pictureConfig({
    patchSize: 14,
    minPixels: 56 * 56,
    maxPixels: 28 * 28 * 1280,
    ...CLIP_CHANNELS,
  }),
  frames: pictureConfig({
    patchSize: 14,
    minPixels: 28 * 28 * 128,
    maxPixels: 28 * 28 * 768,
    ...CLIP_CHANNELS,
  }),
};

/** What processors do with pictures, and with frames of videos. */
export interface PatchConfigs {
  readonly pictures: PictureConfig;
  readonly frames: PictureConfig;
}

/** What a processor is told by config.json. */
export interface PatchModel extends VisionTokens {
  readonly vision: PatchSizes;
}

const SIZES = {
  patchSize: 'patch_size',
  mergeSize: 'merge_size',
  temporalPatchSize: 'temporal_patch_size',
} as const;

/** What the files say of both. @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
export async function readPatchConfigs(
  folder: ModelFolder,
  definitions: Readonly<Record<keyof PatchConfigs, ReturnType<typeof pictureConfig>>>,
  { vision }: PatchModel,
): Promise<PatchConfigs> {
  const pictures = await readProcessorConfig(folder, definitions.pictures);
  const frames = await readProcessorConfig(folder, definitions.frames, 'video_processor');
  for (const config of [pictures, frames]) requirePatches(config, vision);
  return { pictures, frames };
}

/** Refuses patches that are not the encoder's. @throws REQUEST_INVALID */
export function requirePatches(config: PatchSizes, vision: PatchSizes): void {
  for (const [size, name] of Object.entries(SIZES) as [keyof PatchSizes, string][])
    if (config[size] !== vision[size])
      refuseRequest(name, `${vision[size]}, as vision_config says`, config[size]);
}

/** Ids of the tokens that stand for pictures and videos; undefined in models that know none. */
export interface VisionTokens {
  readonly imageTokenId: number | undefined;
  readonly videoTokenId: number | undefined;
}

/** Pictures and lists of frames as patches, in the family's sizes (arXiv:2409.12191, section 2.1). */
export class PatchProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    readonly configs: PatchConfigs,
    { imageTokenId, videoTokenId }: VisionTokens,
  ) {
    this.placeholders = {
      ...(imageTokenId !== undefined && { image: imageTokenId }),
      ...(videoTokenId !== undefined && { video: videoTokenId }),
    };
  }

  /** @throws as `readPatchConfigs` */
  static async load(folder: ModelFolder, model: PatchModel): Promise<PatchProcessor> {
    return new PatchProcessor(await readPatchConfigs(folder, QWEN2_VL, model), model);
  }

  /** @throws MEDIA_*, REQUEST_INVALID for frames of several sizes */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const config = media.kind === 'video' ? this.configs.frames : this.configs.pictures;
    const frames = await picturesOf(media, what);
    const size = this.sizeFor(commonSize(frames, what), config, what);
    return [await patchInput(frames, size, config, mediaKey(media))];
  }

  /** To which size pictures are brought. @throws MEDIA_UNSUPPORTED */
  protected sizeFor(
    size: PictureSize,
    { patchSize, mergeSize, minPixels, maxPixels }: PictureConfig,
    what: string,
  ): PictureSize {
    return smartResize(size, { factor: patchSize * mergeSize, minPixels, maxPixels }, what);
  }
}

/** A picture, or a video's frames in their order. @throws REQUEST_INVALID without any, MEDIA_* */
export async function picturesOf(media: MediaFiles, what: string): Promise<readonly [Picture, ...Picture[]]> {
  const pictures: Picture[] = [];
  // One after another: a video's frames are many.
  for (const [index, file] of media.files.entries())
    pictures.push(await decodePicture(file, media.files.length > 1 ? `frame ${index} of ${what}` : what));
  const [first, ...others] = pictures;
  if (first === undefined) return refuseRequest(what, 'at least one picture', 'none');
  return [first, ...others];
}

/** The size of frames. @throws REQUEST_INVALID where they do not have the same */
export function commonSize(frames: readonly [Picture, ...Picture[]], what: string): PictureSize {
  const [first] = frames;
  const odd = frames.findIndex(({ width, height }) => width !== first.width || height !== first.height);
  if (odd >= 0)
    refuseRequest(what, `frames of one size, ${first.width} x ${first.height}`, `another of frame ${odd}`);
  return first;
}

/** What an encoder reads of pictures that follow one another, in a size of whole blocks. */
export async function patchInput(
  frames: readonly [Picture, ...Picture[]],
  size: PictureSize,
  config: PixelValues & PatchSizes,
  key: Int32Array,
): Promise<EncoderInput> {
  const { mergeSize } = config;
  const [first, ...others] = frames;
  const resized: [Picture, ...Picture[]] = [await beside('resize', first, size, 'bicubic')];
  for (const frame of others) resized.push(await beside('resize', frame, size, 'bicubic'));
  const { data, grid } = await beside('patchesOf', resized, config, config);
  const [pairs, rows, columns] = grid;
  const area = mergeSize * mergeSize;
  return {
    data,
    rows: pairs * rows * columns,
    count: (pairs * rows * columns) / area,
    shape: grid,
    grid: { frames: pairs, rows: rows / mergeSize, columns: columns / mergeSize },
    key,
  };
}
