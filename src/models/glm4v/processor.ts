import {
  type EncoderInput,
  type EncodeWords,
  type MediaPiece,
  type MediaProcessor,
  type PictureSize,
  pythonTenths,
  smartResizeFrames,
} from '../../media/index.js';
import { type ModelFolder, readProcessorClass } from '../base/processor-files.js';
import {
  CLIP_CHANNELS,
  PairProcessor,
  type PairTimes,
  type PatchConfigs,
  type PatchModel,
  type PictureConfig,
  pictureConfig,
  readPatchConfigs,
} from '../base/vision/index.js';

/** Defaults of transformers 5.24, Glm4vImageProcessor and Glm4vVideoProcessor. A picture's pixels are those of a pair of frames. */
const COMMON = { patchSize: 14, minPixels: 112 * 112, ...CLIP_CHANNELS };
const GLM4V = {
  pictures: pictureConfig({ ...COMMON, maxPixels: 28 * 28 * 15_000 }),
  frames: pictureConfig({ ...COMMON, maxPixels: 28 * 28 * 2 * 30_000 }),
};

interface Glm4vModel extends PatchModel {
  /** Before and behind each pair of frames. */
  readonly imageStartId: number | undefined;
  readonly imageEndId: number | undefined;
}

/** How files that name a processor of transformers write when a pair of frames begins, and what those of a model_type have. */
const WORDS = {
  Glm4vProcessor: (seconds: number) => `${Math.floor(seconds)}`,
  Glm46VProcessor: (seconds: number) => `${pythonTenths(seconds)} seconds`,
} as const;
type ProcessorName = keyof typeof WORDS;

/** Pictures are pairs of frames. Those of a video stand as pictures, each before the time at which it begins. */
export class Glm4vProcessor extends PairProcessor {
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;

  private constructor(
    configs: PatchConfigs,
    private readonly model: Glm4vModel,
    private readonly encode: EncodeWords,
    private readonly words: (typeof WORDS)[ProcessorName],
  ) {
    super(configs, model);
    const { imageTokenId: video } = model;
    this.rowTokens = video === undefined ? {} : { video };
  }

  /** `name`: of the family's class, where files name none. @throws as `readPatchConfigs` */
  static async read(
    folder: ModelFolder,
    model: Glm4vModel,
    encode: EncodeWords,
    name: ProcessorName = 'Glm4vProcessor',
  ): Promise<Glm4vProcessor> {
    const named = await readProcessorClass(folder);
    const words = named !== undefined && named in WORDS ? WORDS[named as ProcessorName] : WORDS[name];
    return new Glm4vProcessor(await readPatchConfigs(folder, GLM4V, model), model, encode, words);
  }

  protected override sizeFor(
    size: PictureSize,
    { patchSize, mergeSize, temporalPatchSize: frames, minPixels, maxPixels }: PictureConfig,
    what: string,
  ): PictureSize {
    const range = { factor: patchSize * mergeSize, minPixels, maxPixels };
    return smartResizeFrames(size, { frames, pairSize: frames }, range, what);
  }

  protected piecesOf(input: EncoderInput, { first }: PairTimes): readonly MediaPiece[] {
    const { imageStartId, imageEndId } = this.model;
    const seconds = this.encode(this.words(first));
    return [listOf(imageStartId), input, [...listOf(imageEndId), ...seconds]];
  }
}

const listOf = (token: number | undefined): readonly number[] => (token === undefined ? [] : [token]);
