import { AtbError } from '../../errors.js';
import { type EncodeWords, MEL_HOP, type MediaProcessor } from '../../media/index.js';
import {
  type MagnitudeKind,
  magnitudeProcessor,
  readMagnitudeFiles,
  SurroundedSound,
} from '../base/audio/index.js';
import { lineJoins } from '../base/line-joins.js';
import type { ModelFolder } from '../base/processor-files.js';
import type { Gemma3nAudioConfig, Gemma3nWholeConfig } from './config.js';

/** Defaults of transformers 5.24, Gemma3nAudioFeatureExtractor. */
const GEMMA3N_SOUND: MagnitudeKind = {
  ...{ milliseconds: 32, low: 125, high: 7600, preemphasis: 0.97, isFine: true },
  ...{ floor: 1e-5, addsFloor: false, leads: false },
};

/** Lines about a sound. */
const LINES = '\n\n';
/** Samples of which a sound has whole multiples, the last of them silent. */
const UNIT = 128;

/**
 * Sound that has as many tokens whatever its length, between its begin, its end and lines.
 * @throws as `readMagnitudeFiles`
 */
export async function gemma3nProcessor(
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
  const before = [...encode(LINES), ...(audioStartId === undefined ? [] : [audioStartId])];
  return new SurroundedSound(heard, before, encode(LINES), lineJoins(encode));
}
