import { refuseRequest } from '../../errors.js';
import {
  type Check,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  only,
  positive,
} from '../../layers/config/index.js';
import {
  beside,
  DEFAULT_FPS,
  type EncodeWords,
  fitBlocks,
  MEL_HOP,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
} from '../../media/index.js';
import {
  type MagnitudeKind,
  magnitudeProcessor,
  OmniProcessor,
  readMagnitudeFiles,
  SurroundedSound,
} from '../base/audio/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { channels, commonSize, picturesOf } from '../base/vision/index.js';
import type { Gemma4WholeConfig, VisionConfig } from './config.js';

const SIDE = integer(1, 1000);
const TOKENS = [70, 140, 280, 560, 1120];
const BICUBIC = 3;

/** How many tokens a picture may have. */
const tokens: Check<number> = {
  safeParse: (value) =>
    TOKENS.includes(value as number)
      ? { success: true, data: value as number }
      : { success: false, error: { issues: [{ message: `must be one of ${TOKENS.join(', ')}` }] } },
};

/** Whether numbers are changed by channel: not so that anything becomes of it. */
const normalizes: Field<boolean> = {
  read(json) {
    const [says, ...others] = [
      json.value('do_normalize', flag) ?? false,
      channels('image_mean', [0, 0, 0])
        .read(json, {})
        .some((mean) => mean !== 0),
      channels('image_std', [1, 1, 1])
        .read(json, {})
        .some((std) => std !== 1),
    ];
    if (says && others.includes(true))
      json.problem('do_normalize must be false, or leave all numbers as they are');
    return says;
  },
};

/** Defaults of transformers 5.24, Gemma4ImageProcessor and Gemma4VideoProcessor, but for the number of tokens. */
const fittedPictures = (most: number) =>
  defineConfig({
    fields: {
      patchSize: field('patch_size', SIDE, 16),
      poolSize: field('pooling_kernel_size', SIDE, 3),
      tokens: field('max_soft_tokens', tokens, most),
      rescale: field('rescale_factor', positive(1), 1 / 255),
      resample: field('resample', only(BICUBIC), BICUBIC),
      resizes: field('do_resize', only(true), true),
      rescales: field('do_rescale', only(true), true),
      normalizes,
    },
  });
const [PICTURES, FRAMES] = [fittedPictures(280), fittedPictures(70)];
type PictureConfig = ReturnType<(typeof PICTURES)['read']>;

/** What a processor is told by the model's configuration. */
export type SeenByGemma4 = Pick<
  Gemma4WholeConfig,
  'imageTokenId' | 'videoTokenId' | 'imageStartId' | 'imageEndId' | 'bidirectional'
>;

/** What an encoder's patches are. */
export interface Gemma4Patches extends Pick<VisionConfig, 'patchSize' | 'poolSize'> {
  /** How many places along a side have positions. */
  readonly positionSize: number;
  /** Whether blocks of patches are read as larger patches, of numbers from 0 to 1. */
  readonly merges: boolean;
}

/** The model takes numbers from 0 to 1 to those from -1 to 1. */
export const GEMMA4_VALUES = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

const UNCHANGED = { mean: [0, 0, 0], std: [1, 1, 1] };

/**
 * Pictures of any shape in as many blocks of patches as there may be, each between its begin and its end; frames of
 * videos as pictures, each behind its time.
 */
export class Gemma4Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly configs: { readonly pictures: PictureConfig; readonly frames: PictureConfig },
    private readonly model: SeenByGemma4,
    private readonly merges: boolean,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = {
      ...(model.imageTokenId !== undefined && { image: model.imageTokenId }),
      ...(model.videoTokenId !== undefined && { video: model.videoTokenId }),
    };
  }

  /** Of what is seen. @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async load(
    folder: ModelFolder,
    model: SeenByGemma4,
    encoder: Gemma4Patches,
    encode: EncodeWords,
  ): Promise<Gemma4Processor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    const frames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    for (const config of [pictures, frames]) requireFit(config, encoder);
    return new Gemma4Processor({ pictures, frames }, model, encoder.merges, encode);
  }

  /** @throws MEDIA_*, REQUEST_INVALID for frames of several sizes */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const shown = await picturesOf(media, what);
    if (media.kind !== 'video') return this.piecesOf(shown[0], this.configs.pictures, mediaKey(media));
    commonSize(shown, what);
    const { fps = DEFAULT_FPS } = media;
    const pieces: MediaPiece[] = [];
    for (const [index, frame] of shown.entries()) {
      const time = `${index > 0 ? ' ' : ''}${clock(index / fps)} `;
      pieces.push(this.encode(time));
      pieces.push(...(await this.piecesOf(frame, this.configs.frames, mediaKey(media, index))));
    }
    return pieces;
  }

  private async piecesOf(
    picture: Picture,
    { patchSize: smallest, poolSize, tokens, rescale }: PictureConfig,
    key: Int32Array,
  ): Promise<readonly MediaPiece[]> {
    const size = fitBlocks(picture, { patchSize: smallest, mergeSize: poolSize, tokens });
    const [patchSize, mergeSize] = this.merges ? [smallest * poolSize, 1] : [smallest, poolSize];
    const values = this.merges ? UNCHANGED : GEMMA4_VALUES;
    const resized = await beside('resize', picture, size, 'bicubic');
    const cut = { patchSize, temporalPatchSize: 1, mergeSize, channelsLast: true };
    const { data, grid } = await beside('patchesOf', [resized], { rescale, ...values }, cut);
    const [, rows, columns] = grid;
    const count = (rows * columns) / mergeSize ** 2;
    const { imageStartId, imageEndId, bidirectional } = this.model;
    const words = (id: number | undefined) => (id === undefined ? [] : [id]);
    const input = { data, rows: rows * columns, count, shape: grid, key };
    return [words(imageStartId), { ...input, ...(bidirectional && { isWhole: true }) }, words(imageEndId)];
  }
}

/** Defaults of transformers 5.24, Gemma4AudioFeatureExtractor. */
const GEMMA4_SOUND: MagnitudeKind = {
  ...{ milliseconds: 20, low: 0, high: 8000, preemphasis: 0, isFine: false },
  ...{ floor: 1e-3, addsFloor: true, leads: true },
};

/** Pictures and frames, and sound where the model hears. @throws as `Gemma4Processor.load` and `readMagnitudeFiles` */
export async function gemma4Processor(
  folder: ModelFolder,
  model: Gemma4WholeConfig,
  vision: VisionConfig,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  const seen = await Gemma4Processor.load(folder, model, { ...vision, merges: false }, encode);
  const { audio, audioTokenId } = model;
  if (!audio) return seen;
  const mel = await readMagnitudeFiles(folder, GEMMA4_SOUND, audio.channels[0]);
  // A frame counts whose samples, and one more behind them, are all the sound's.
  const frames = (samples: number) => Math.ceil((samples - mel.window + mel.lead) / MEL_HOP);
  return new OmniProcessor(seen, gemma4Sound(magnitudeProcessor(audioTokenId, mel, frames), model));
}

/** Sound between its begin and its end. */
export function gemma4Sound(
  heard: MediaProcessor,
  { audioStartId, audioEndId }: Pick<Gemma4WholeConfig, 'audioStartId' | 'audioEndId'>,
): MediaProcessor {
  const [before = [], behind = []] = [audioStartId, audioEndId].map((id) => (id === undefined ? [] : [id]));
  return new SurroundedSound(heard, before, behind);
}

/** @throws REQUEST_INVALID for patches that are not the encoder's */
function requireFit(
  config: PictureConfig,
  { patchSize, poolSize, positionSize, merges }: Gemma4Patches,
): void {
  const says = (name: string, expected: number, found: number): void => {
    if (found !== expected) refuseRequest(name, `${expected}, as vision_config says`, found);
  };
  says('patch_size', patchSize, config.patchSize);
  says('pooling_kernel_size', poolSize, config.poolSize);
  const side = config.tokens * (merges ? 1 : poolSize);
  if (side > positionSize)
    refuseRequest('max_soft_tokens', `at most ${positionSize} patches along a side`, side);
}

/** Minutes and seconds: 01:05. */
function clock(seconds: number): string {
  return [seconds / 60, seconds % 60].map((part) => String(Math.floor(part)).padStart(2, '0')).join(':');
}
