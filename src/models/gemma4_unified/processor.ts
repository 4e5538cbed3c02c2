import { refuseRequest } from '../../errors.js';
import { defineConfig, field, integer, only } from '../../layers/config/index.js';
import { type EncodeWords, MEL_RATE, type MediaProcessor, mediaKey } from '../../media/index.js';
import { LONGEST_SOUND, OmniProcessor, SoundProcessor } from '../base/audio/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { Gemma4Processor, gemma4Sound } from '../gemma4/index.js';
import type { Gemma4UnifiedConfig } from './config.js';

/** Defaults of transformers 5.24, Gemma4UnifiedAudioFeatureExtractor. */
const SAMPLES = defineConfig({
  fields: {
    samples: field('audio_samples_per_token', integer(1, 1_000_000), 640),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
  },
});

/**
 * Pictures and frames as Gemma 4's, and whole sounds as they are, silence behind their ends.
 * @throws as `Gemma4Processor.load`; REQUEST_INVALID for another number of samples
 */
export async function gemma4UnifiedProcessor(
  folder: ModelFolder,
  config: Gemma4UnifiedConfig,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  const { vision, audio, audioTokenId } = config;
  const seen = await Gemma4Processor.load(folder, config, { ...vision, merges: true }, encode);
  if (!audio) return seen;
  const found = await readProcessorConfig(folder, SAMPLES, 'feature_extractor');
  const { samples: features } = audio;
  if (found.samples !== features)
    refuseRequest('audio_samples_per_token', `${features}, as audio_config says`, found.samples);
  const heard = new SoundProcessor(audioTokenId, LONGEST_SOUND, async (samples, media) => {
    const count = Math.ceil(samples.length / features);
    const data = new Float32Array(count * features);
    data.set(samples);
    return [{ data, rows: count, count, shape: [1, count, 1], key: mediaKey(media) }];
  });
  return new OmniProcessor(seen, gemma4Sound(heard, config));
}
