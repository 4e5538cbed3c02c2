import { AtbError } from '../../errors.js';
import { defineConfig, field, flag } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncodeWords,
  forPictures,
  MEL_HOP,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import {
  type MagnitudeKind,
  magnitudeProcessor,
  OmniProcessor,
  readMagnitudeFiles,
  SurroundedSound,
} from '../base/audio/index.js';
import { lineJoins } from '../base/line-joins.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { BILINEAR, pixelFields, requireSide, squareInput, squareSide } from '../base/vision/index.js';
import type { Gemma3nAudioConfig, Gemma3nWholeConfig } from './config.js';
import type { Gemma3nVisionConfig } from './vision-config.js';

/** Defaults of transformers 5.24, Gemma3nAudioFeatureExtractor. */
const GEMMA3N_SOUND: MagnitudeKind = {
  ...{ milliseconds: 32, low: 125, high: 7600, preemphasis: 0.97, isFine: true },
  ...{ floor: 1e-5, addsFloor: false, leads: false },
};

/** Lines about a thing. */
const LINES = '\n\n';
/** Samples of which a sound has whole multiples, the last of them silent. */
const UNIT = 128;

const HALF = [0.5, 0.5, 0.5];
/** Numbers stay those from 0 to 1. */
const UNCHANGED = { mean: [0, 0, 0], std: [1, 1, 1] };

/** Defaults of transformers 5.24, SiglipImageProcessor, but for the filter and the size of published files. */
const PICTURES = defineConfig({
  fields: {
    ...pixelFields({ mean: HALF, std: HALF }, BILINEAR),
    normalizes: field('do_normalize', flag, true),
    side: squareSide('size', ['height', 'width'], 768),
  },
});

/** What stands before and behind a thing, by the token that begins it. */
const around = (encode: EncodeWords, start: number | undefined) =>
  [[...encode(LINES), ...(start === undefined ? [] : [start])], encode(LINES)] as const;

/**
 * Pictures, and sound where the model hears, each between its begin, its end and lines.
 * @throws CONFIG_INVALID, REQUEST_INVALID for pictures of another size than the encoder's, and as `readMagnitudeFiles`
 */
export async function gemma3nProcessor(
  folder: ModelFolder,
  config: Gemma3nWholeConfig,
  vision: Gemma3nVisionConfig,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  const pictures = await readProcessorConfig(folder, PICTURES);
  requireSide('size', pictures.side, vision.imageSize);
  const joins = lineJoins(encode);
  const seen = new SurroundedSound(
    new EndedSquares(pictures, config, vision),
    ...around(encode, config.imageStartId),
    joins,
  );
  const { audio } = config;
  return audio ? new OmniProcessor(seen, await hearing(folder, config, audio, encode)) : seen;
}

/** Whole pictures, drawn out to one square, each with its end. */
class EndedSquares implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly pictures: ReturnType<(typeof PICTURES)['read']>,
    private readonly model: Gemma3nWholeConfig,
    private readonly vision: Gemma3nVisionConfig,
  ) {
    this.placeholders = forPictures(model.imageTokenId);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { side, normalizes, rescale, ...values } = this.pictures;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const square = await beside('resize', picture, { width: side, height: side }, 'bilinear');
    const { imageTokenId, imageEndId, imageTokens } = this.model;
    const input = await squareInput(
      square,
      { rescale, ...(normalizes ? values : UNCHANGED) },
      {
        ...{ patchSize: side / this.vision.outSide, key: mediaKey(media), hasFirst: false },
        tokensOf: (patches) => patches + 1,
      },
    );
    // The end has its embedding of the encoder's words.
    const tokens = new Int32Array(imageTokens + 1).fill(imageTokenId ?? 0);
    tokens[imageTokens] = imageEndId;
    return [{ ...input, tokens }];
  }
}

/** Sound that has as many tokens whatever its length. */
async function hearing(
  folder: ModelFolder,
  { audioTokenId, audioStartId, audioEndId, soundTokens }: Gemma3nWholeConfig,
  { melBins, every }: Gemma3nAudioConfig,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  const mel = await readMagnitudeFiles(folder, GEMMA3N_SOUND, melBins);
  const framesOf = (samples: number) =>
    Math.floor((UNIT * Math.ceil(samples / UNIT) - mel.window - 1) / MEL_HOP) + 1;
  const heard = magnitudeProcessor(audioTokenId, mel, framesOf, (input, what) => {
    const own = Math.ceil(input.count / every);
    if (own > soundTokens)
      throw new AtbError('MEDIA_UNSUPPORTED', {
        what,
        expected: `sound of at most ${soundTokens} tokens, as audio_soft_tokens_per_image says`,
        found: `${own}`,
      });
    // The end has its embedding of the encoder's words.
    const tokens = new Int32Array(soundTokens + 1).fill(audioTokenId ?? 0);
    tokens[soundTokens] = audioEndId;
    return { ...input, count: soundTokens + 1, tokens };
  });
  return new SurroundedSound(heard, ...around(encode, audioStartId), lineJoins(encode));
}
