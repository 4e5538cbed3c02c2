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
import {
  CLIP_CHANNELS,
  type ModelFolder,
  type PictureConfig,
  pictureConfig,
  readPictureConfig,
} from './picture-config.js';

/** Defaults of transformers 5.24, Qwen2VLImageProcessor. */
export const QWEN2_VL_PICTURES = pictureConfig({
  patchSize: 14,
  minPixels: 56 * 56,
  maxPixels: 28 * 28 * 1280,
  ...CLIP_CHANNELS,
});

/** Ids of the tokens that stand for pictures and videos; undefined in models that know none. */
export interface VisionTokens {
  readonly imageTokenId: number | undefined;
  readonly videoTokenId: number | undefined;
}

/** Pictures and lists of frames as patches, in the family's sizes (arXiv:2409.12191, section 2.1). */
export class PatchProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    readonly config: PictureConfig,
    { imageTokenId, videoTokenId }: VisionTokens,
  ) {
    this.placeholders = {
      ...(imageTokenId !== undefined && { image: imageTokenId }),
      ...(videoTokenId !== undefined && { video: videoTokenId }),
    };
  }

  /** @throws CONFIG_INVALID */
  static async load(
    folder: ModelFolder,
    tokens: VisionTokens,
    definition = QWEN2_VL_PICTURES,
  ): Promise<PatchProcessor> {
    return new PatchProcessor(await readPictureConfig(folder, definition), tokens);
  }

  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    return [await this.inputOf(await this.picturesOf(media, what), mediaKey(media), what)];
  }

  /** @throws REQUEST_INVALID without any, MEDIA_* */
  protected async picturesOf(media: MediaFiles, what: string): Promise<readonly [Picture, ...Picture[]]> {
    const pictures: Picture[] = [];
    // One after another: a video's frames are many.
    for (const [index, file] of media.files.entries())
      pictures.push(await decodePicture(file, media.files.length > 1 ? `frame ${index} of ${what}` : what));
    const [first, ...others] = pictures;
    if (first === undefined) return refuseRequest(what, 'at least one picture', 'none');
    return [first, ...others];
  }

  /** What the encoder reads of a picture, or of frames of one size. @throws MEDIA_UNSUPPORTED */
  async inputOf(
    frames: readonly [Picture, ...Picture[]],
    key: Int32Array,
    what: string,
  ): Promise<EncoderInput> {
    return patchInput(frames, this.sizeFor(commonSize(frames, what), what), this.config, key);
  }

  /** To which size pictures are brought. @throws MEDIA_UNSUPPORTED */
  protected sizeFor(size: PictureSize, what: string): PictureSize {
    const { patchSize, mergeSize, minPixels, maxPixels } = this.config;
    return smartResize(size, { factor: patchSize * mergeSize, minPixels, maxPixels }, what);
  }
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
