import { defineConfig, field, flag, only } from '../../layers/config/index.js';
import { MEL_RATE, mediaKey } from '../../media/index.js';
import { stridedLengths } from '../../step-inputs/index.js';
import { refuseShort, SoundProcessor } from '../base/audio/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import type { OmniasrConfig } from './config.js';

/** Keys and defaults of transformers 5.24, OmniASRFeatureExtractor. */
const EXTRACTOR = defineConfig({
  fields: {
    channels: field('feature_size', only(1), 1),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
    silence: field('padding_value', only(0), 0),
    normalizes: field('do_normalize', flag, true),
  },
});

/** What is added to the variance of samples. */
const EPSILON = 1e-5;
/** What the encoder's work is measured by: results of its first convolution, of which 64 make a row, are long. */
export const ROWS_OF_RESULT = 8;

/** Samples of a mean of 0 and a variance of 1. */
export function normalized(samples: Float32Array): Float32Array {
  let [sum, squares] = [0, 0];
  for (const sample of samples) sum += sample;
  const mean = sum / samples.length;
  for (const sample of samples) squares += (sample - mean) ** 2;
  const scale = 1 / Math.sqrt(squares / samples.length + EPSILON);
  return samples.map((sample) => (sample - mean) * scale);
}

/** Samples of sound, of as much as the model is trained on. @throws CONFIG_INVALID for files that want other samples */
export async function omniasrProcessor(
  folder: ModelFolder,
  { audioTokenId, audio }: OmniasrConfig,
): Promise<SoundProcessor> {
  const { normalizes } = await readProcessorConfig(folder, EXTRACTOR, 'feature_extractor');
  const reach = audio.kernels.reduceRight(
    (seen, kernel, level) => (seen - 1) * (audio.strides[level] ?? 1) + kernel,
    1,
  );
  return new SoundProcessor(audioTokenId, { seconds: 40, cuts: false }, async (samples, media, what) => {
    const count = stridedLengths(samples.length, audio).at(-1) ?? 0;
    if (count === 0) refuseShort(samples, (1000 * reach) / MEL_RATE, what);
    const data = normalizes ? normalized(samples) : samples;
    return [{ data, rows: ROWS_OF_RESULT * count, count, shape: [1, count, 1], key: mediaKey(media) }];
  });
}
