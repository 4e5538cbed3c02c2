import { defineConfig, type Field, field, flag, integer, only } from '../../layers/config/index.js';
import {
  beside,
  DEFAULT_FPS,
  type EncoderInput,
  type EncodeWords,
  frameGrid,
  joinedWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type PixelValues,
  patchGrid,
  pythonHundredths,
  type TileGrid,
  tokenOf,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { CLIP_CHANNELS, channels, commonSize, picturesOf, pixelFields } from '../base/vision/index.js';
import type { NemotronHOmniConfig } from './config.js';

const COUNT = integer(1, 1_000_000);
/** What templates print for a video, which need not be a token. */
const VIDEO = '<video>';
const [BEFORE, BEHIND] = ['<img>', '</img>'];
const MERGE = 2;

/** How pixels become numbers, and how large a patch is, in names of published files and of transformers. */
const FIELDS = {
  ...pixelFields(CLIP_CHANNELS),
  mean: channels(['image_mean', 'norm_mean'], CLIP_CHANNELS.mean),
  std: channels(['image_std', 'norm_std'], CLIP_CHANNELS.std),
  patchSize: field('patch_size', COUNT, 16),
  ratio: field('downsample_ratio', only(0.5), 0.5),
};

/** Without a bound where it is 0. */
const most: Field<number> = {
  read: (json) => json.value('max_num_patches', integer(0, 1_000_000)) ?? 13_312,
};

/** Defaults of transformers 5.24, NemotronH_Omni_Reasoning_V3ImageProcessor. */
const PICTURES = defineConfig({
  fields: {
    ...FIELDS,
    minPatches: field('min_num_patches', COUNT, 1024),
    most,
    context: field('max_model_len', COUNT, 16_384),
  },
});

/** Of its video processor. */
const FRAMES = defineConfig({
  fields: {
    ...FIELDS,
    target: field('video_target_num_patches', COUNT, 1024),
    keepsShape: field('video_maintain_aspect_ratio', flag, true),
  },
});

/** Pictures in their own shapes; of a video as many frames as make a patch together, behind words that say when they are. */
export class NemotronOmniProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;
  readonly templateTexts: NonNullable<MediaProcessor['templateTexts']>;

  private constructor(
    private readonly pictures: ReturnType<(typeof PICTURES)['read']>,
    private readonly frames: ReturnType<(typeof FRAMES)['read']>,
    private readonly model: NemotronHOmniConfig,
    private readonly encode: EncodeWords,
  ) {
    const { imageTokenId: image } = model;
    const video = tokenOf(VIDEO, encode);
    this.placeholders = image === undefined ? {} : { image, video: video ?? image };
    this.rowTokens = image === undefined ? {} : { video: image };
    this.templateTexts = video === undefined ? { [VIDEO]: '<image>' } : {};
  }

  /** @throws CONFIG_INVALID */
  static async read(
    folder: ModelFolder,
    model: NemotronHOmniConfig,
    encode: EncodeWords,
  ): Promise<NemotronOmniProcessor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    const frames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    return new NemotronOmniProcessor(pictures, frames, model, encode);
  }

  /** The words about frames are one text with those that stand beside them. */
  joins(left: number, right: number): readonly number[] | undefined {
    return joinedWords(left, right, this.encode);
  }

  /** @throws MEDIA_*, REQUEST_INVALID for frames of several sizes */
  async process(
    media: MediaFiles,
    what: string,
    _place: number,
    count: number,
  ): Promise<readonly MediaPiece[]> {
    const all = await picturesOf(media, what);
    if (media.kind === 'video') return this.piecesOfFrames(all, media, what);
    const { patchSize, minPatches, most: bound, context } = this.pictures;
    const room = Math.max((context - 4) * MERGE ** 2, minPatches * count);
    const maxPatches = Math.max(bound === 0 ? room : Math.min(room, bound), minPatches);
    const grid = patchGrid(all[0], { patchSize, mergeSize: MERGE, minPatches, maxPatches });
    const input = await this.inputOf([all[0]], grid, this.pictures, mediaKey(media));
    return [this.encode(BEFORE), input, this.encode(BEHIND)];
  }

  private async piecesOfFrames(
    frames: readonly [Picture, ...Picture[]],
    media: MediaFiles,
    what: string,
  ): Promise<readonly MediaPiece[]> {
    const { fps = DEFAULT_FPS } = media;
    const { framesOfPatch } = this.model;
    const grid = frameGrid(commonSize(frames, what), { ...this.frames, mergeSize: MERGE });
    const milliseconds = Math.trunc(1000 / fps);
    const pieces: MediaPiece[] = [];
    for (let first = 0; first < frames.length; first += framesOfPatch) {
      const shown = frames.slice(first, first + framesOfPatch);
      const words = shown.map((_, at) => {
        const seconds = pythonHundredths(((first + at) * milliseconds) / 1000);
        return `${at === 0 ? 'Frame' : 'frame'} ${first + at + 1} sampled at ${seconds} seconds`;
      });
      const last = shown.at(-1) as Picture;
      const filled = Array.from({ length: framesOfPatch }, (_, at) => shown[at] ?? last);
      const input = await this.inputOf(filled, grid, this.frames, mediaKey(media, first));
      const before = `${first === 0 ? '' : '\n'}${words.join(' and ')}: ${BEFORE}`;
      pieces.push(this.encode(before), { ...input, encoder: 'second' }, this.encode(BEHIND));
    }
    return pieces;
  }

  /** Numbers of a patch frame by frame. */
  private async inputOf(
    frames: readonly Picture[],
    { rows, columns }: TileGrid,
    values: PixelValues & { readonly patchSize: number },
    key: Int32Array,
  ): Promise<EncoderInput> {
    const { patchSize } = values;
    const size = { width: columns * patchSize, height: rows * patchSize };
    const sizes = { patchSize, temporalPatchSize: 1, mergeSize: MERGE };
    const each = 3 * patchSize ** 2;
    const data = new Float32Array(rows * columns * each * frames.length);
    for (const [frame, picture] of frames.entries()) {
      const resized = await beside('resize', picture, size, 'bicubic');
      const { data: own } = await beside('patchesOf', [resized], values, sizes);
      for (let patch = 0; patch < rows * columns; patch++)
        data.set(own.subarray(patch * each, (patch + 1) * each), (patch * frames.length + frame) * each);
    }
    const patches = rows * columns;
    return { data, rows: patches, count: patches / MERGE ** 2, shape: [1, rows, columns], key };
  }
}
