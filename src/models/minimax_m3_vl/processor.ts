import { type ConfigDict, defineConfig, type Field, integer } from '../../layers/config/index.js';
import {
  DEFAULT_FPS,
  type EncoderInput,
  type EncodeWords,
  joinedWords,
  type MediaFiles,
  type MediaPiece,
  mediaKey,
  type Picture,
  pythonTenths,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import {
  CLIP_CHANNELS,
  commonSize,
  type PatchConfigs,
  PatchProcessor,
  patchInput,
  pictureConfig,
  picturesOf,
  requirePatches,
} from '../base/vision/index.js';
import type { MiniMaxM3VlConfig } from './config.js';

const [BEFORE, BEHIND] = [']<]start of image[>[', ']<]end of image[>['];

/** A definition in which the size of published files, which is that of no picture, is left out. */
const sized = (maxPixels: number) => {
  const defaults = pictureConfig({
    ...{ patchSize: 14, minPixels: 4 * 28 * 28, maxPixels },
    ...CLIP_CHANNELS,
  });
  return {
    read({ size, ...dict }: ConfigDict, file: string) {
      const isNone = size === undefined || /672.*672/.test(JSON.stringify(size));
      return defaults.read(isNone ? dict : { ...dict, size }, file);
    },
  };
};

/** Defaults of transformers 5.24, MiniMaxM3VLImageProcessor and MiniMaxM3VLVideoProcessor. */
const [PICTURES, FRAMES] = [sized(451_584), sized(768 * 28 * 28)];

/** How many pairs of frames see each other; all of a video where the file says null. */
const segment: Field<number> = {
  read: (json) =>
    json.raw('vision_segment_max_frames') === null
      ? Number.POSITIVE_INFINITY
      : (json.value('vision_segment_max_frames', integer(1, 10_000)) ?? 4),
};
const STRETCHES = defineConfig({ fields: { segment } });

/** Pictures as Qwen2-VL has them, between words; frames in pairs, each behind its second, in stretches. */
export class MiniMaxM3Processor extends PatchProcessor {
  private constructor(
    configs: PatchConfigs,
    private readonly model: MiniMaxM3VlConfig,
    private readonly segment: number,
    private readonly encode: EncodeWords,
  ) {
    super(configs, model);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async read(
    folder: ModelFolder,
    model: MiniMaxM3VlConfig,
    encode: EncodeWords,
  ): Promise<MiniMaxM3Processor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    const frames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    const stretches = await readProcessorConfig(folder, STRETCHES, 'video_processor');
    for (const config of [pictures, frames]) requirePatches(config, model.vision);
    return new MiniMaxM3Processor({ pictures, frames }, model, stretches.segment, encode);
  }

  /** The first second is written right behind the words before it. */
  joins(left: number, right: number): readonly number[] | undefined {
    return joinedWords(left, right, this.encode);
  }

  /** @throws MEDIA_*, REQUEST_INVALID for frames of several sizes */
  override async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    if (media.kind === 'video') return this.piecesOfFrames(media, what);
    const { imageTokenId = -1 } = this.model;
    const seen = (await super.process(media, what)) as readonly EncoderInput[];
    const shown = seen.map((input) => withTokens(input, Array(input.count).fill(imageTokenId)));
    return [this.encode(BEFORE), ...shown, this.encode(BEHIND)];
  }

  private async piecesOfFrames(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { frames: config } = this.configs;
    const { fps = DEFAULT_FPS } = media;
    const pairSize = config.temporalPatchSize;
    const frames = await picturesOf(media, what);
    const size = this.sizeFor(commonSize(frames, what), config, what);
    const all = Math.ceil(frames.length / pairSize);
    const pieces: MediaPiece[] = [];
    for (let first = 0; first < all; first += this.segment) {
      const count = Math.min(this.segment, all - first);
      const shown = frames.slice(first * pairSize, (first + count) * pairSize) as [Picture, ...Picture[]];
      const input = await patchInput(shown, size, config, mediaKey(media, first));
      const seconds = Array.from({ length: count }, (_, pair) => ((first + pair) * pairSize) / fps);
      pieces.push(...this.piecesOf(input, seconds));
    }
    return pieces;
  }

  /** A stretch is one thing to the encoder: words between its pairs of frames are among its tokens. */
  private piecesOf(input: EncoderInput, seconds: readonly number[]): readonly MediaPiece[] {
    const { videoTokenId = -1 } = this.model;
    const before = seconds.map((at) => [
      ...this.encode(`]<]${pythonTenths(at)} seconds[>[`),
      ...this.encode(BEFORE),
    ]);
    const pair = Array<number>(input.count / seconds.length).fill(videoTokenId);
    const behind = this.encode(BEHIND);
    const tokens = before.flatMap((words, at) => (at === 0 ? pair : [...behind, ...words, ...pair]));
    return [before[0] ?? [], withTokens(input, tokens), behind];
  }
}

/** The same with ids of all of its tokens, which stand in a line like words. */
const withTokens = ({ grid: _, ...input }: EncoderInput, tokens: readonly number[]): EncoderInput => ({
  ...input,
  count: tokens.length,
  tokens: Int32Array.from(tokens),
});
