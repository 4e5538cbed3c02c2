import { type ConfigOf, defineConfig, field, only } from '../../layers/config/index.js';
import {
  DEFAULT_FPS,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  pythonTenths,
  smartResizeFrames,
} from '../../media/index.js';
import {
  commonSize,
  type ModelFolder,
  PatchProcessor,
  type PictureConfig,
  patchFields,
  patchInput,
  pictureConfig,
  readPictureConfig,
  type VisionTokens,
} from '../base/vision/index.js';

/** Defaults of transformers 5.24, which Qwen3-VL's files override. */
const HALF = [0.5, 0.5, 0.5];
const COMMON = { patchSize: 16, mean: HALF, std: HALF };
const PICTURES = pictureConfig({ ...COMMON, minPixels: 65_536, maxPixels: 16_777_216 });
/** Pixels are those of all frames together. */
const FRAMES = defineConfig({
  fields: {
    ...patchFields({ ...COMMON, minPixels: 131_072, maxPixels: 786_432 }),
    capsFrames: field('cap_pixels_per_frame', only(false), false),
  },
});

interface TimedTokens extends VisionTokens {
  /** Before and behind each pair of frames. */
  readonly visionStartId: number | undefined;
  readonly visionEndId: number | undefined;
}

/**
 * Pictures as Qwen2-VL has them. Of a video each pair of frames is seen by itself, behind words that say when it is
 * (arXiv:2511.21631, section 2.3). These stand in place of the template's tokens around the video, as transformers 4 and
 * vLLM have it; 5.24 leaves those, so that the first words and the last end have a frame's begin and end about them.
 */
export class TimedProcessor extends PatchProcessor {
  readonly around: NonNullable<MediaProcessor['around']>;

  constructor(
    pictures: PictureConfig,
    private readonly frames: ConfigOf<typeof FRAMES>,
    tokens: TimedTokens,
    private readonly encode: EncodeWords,
  ) {
    super(pictures, tokens);
    const { visionStartId: before, visionEndId: behind } = tokens;
    this.around = before === undefined || behind === undefined ? {} : { video: [before, behind] };
  }

  /** @throws CONFIG_INVALID */
  static async read(folder: ModelFolder, tokens: TimedTokens, encode: EncodeWords): Promise<TimedProcessor> {
    const pictures = await readPictureConfig(folder, PICTURES);
    const frames = await readPictureConfig(folder, FRAMES, 'video_processor');
    return new TimedProcessor(pictures, frames, tokens, encode);
  }

  override async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    if (media.kind !== 'video') return super.process(media, what);
    const { frames: config, encode } = this;
    const { patchSize, mergeSize, minPixels, maxPixels, temporalPatchSize: pairSize } = config;
    const [before, behind] = this.around.video?.map((token) => [token]) ?? [];
    const pictures = await this.picturesOf(media, what);
    const size = smartResizeFrames(
      commonSize(pictures, what),
      { frames: pictures.length, pairSize },
      { factor: patchSize * mergeSize, minPixels, maxPixels },
      what,
    );
    const { fps = DEFAULT_FPS } = media;
    const last = pictures.length - 1;
    const pieces: MediaPiece[] = [];
    for (let pair = 0; pair < pictures.length / pairSize; pair++) {
      const from = pair * pairSize;
      const to = Math.min(from + pairSize - 1, last);
      const shown = pictures.slice(from, to + 1) as [Picture, ...Picture[]];
      const seconds = (from / fps + to / fps) / 2;
      pieces.push(
        [...encode(`<${pythonTenths(seconds)} seconds>`), ...(before ?? [])],
        await patchInput(shown, size, config, mediaKey(media, pair)),
        behind ?? [],
      );
    }
    return pieces;
  }
}
