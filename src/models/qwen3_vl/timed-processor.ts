import {
  type EncoderInput,
  type EncodeWords,
  type MediaPiece,
  type MediaProcessor,
  pythonTenths,
} from '../../media/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import {
  PairProcessor,
  type PairTimes,
  type PatchConfigs,
  type PatchModel,
  pictureConfig,
  readPatchConfigs,
} from '../base/vision/index.js';

/** Defaults of transformers 5.24, which Qwen3-VL's files override. */
const HALF = [0.5, 0.5, 0.5];
const COMMON = { patchSize: 16, mean: HALF, std: HALF };
const QWEN3_VL = {
  pictures: pictureConfig({ ...COMMON, minPixels: 65_536, maxPixels: 16_777_216 }),
  frames: pictureConfig({ ...COMMON, minPixels: 131_072, maxPixels: 786_432 }),
};

interface TimedModel extends PatchModel {
  /** Before and behind each pair of frames. */
  readonly visionStartId: number | undefined;
  readonly visionEndId: number | undefined;
}

/**
 * Each pair of a video's frames stands behind words that say when it is (arXiv:2511.21631, section 2.3). These stand in
 * place of the template's tokens around the video, as transformers 4 and vLLM have it; 5.24 leaves those, so that the first
 * words and the last end have a frame's begin and end about them.
 */
export class TimedProcessor extends PairProcessor {
  readonly around: NonNullable<MediaProcessor['around']>;

  constructor(
    configs: PatchConfigs,
    model: TimedModel,
    private readonly encode: EncodeWords,
  ) {
    super(configs, model);
    const { visionStartId: before, visionEndId: behind } = model;
    this.around = before === undefined || behind === undefined ? {} : { video: [before, behind] };
  }

  /** @throws as `readPatchConfigs` */
  static async read(folder: ModelFolder, model: TimedModel, encode: EncodeWords): Promise<TimedProcessor> {
    return new TimedProcessor(await readPatchConfigs(folder, QWEN3_VL, model), model, encode);
  }

  protected piecesOf(input: EncoderInput, { first, last }: PairTimes): readonly MediaPiece[] {
    const [before = [], behind = []] = this.around.video?.map((token) => [token]) ?? [];
    const words = this.encode(`<${pythonTenths((first + last) / 2)} seconds>`);
    return [[...words, ...before], input, behind];
  }
}
