import { refuseRequest } from '../../errors.js';
import { defineConfig, field, integer, only } from '../../layers/config/index.js';
import {
  beside,
  type EncodeWords,
  MEL_HOP,
  MEL_RATE,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { LONGEST_SOUND, refuseShort, SoundProcessor } from '../base/audio/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import type { GraniteSpeechConfig } from './config.js';

/** The processor's name of a sound in texts. */
const AUDIO = '<|audio|>';
/** Beyond both ends sound is mirrored, so far. */
const MIRRORED = 256;

const COUNT = integer(1, 10_000);

/** Keys and defaults of transformers 5.24, GraniteSpeechFeatureExtractor, which reads no `melspec_kwargs` of files. */
const EXTRACTOR = defineConfig({
  fields: {
    bins: field('n_mels', COUNT, 80),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
    hop: field('hop_length', only(MEL_HOP), MEL_HOP),
    window: field('win_length', only(400), 400),
    padded: field('n_fft', only(512), 512),
    windowSize: field('projector_window_size', COUNT, 15),
    downsampling: field('projector_downsample_rate', COUNT, 5),
  },
});

/**
 * Whole sounds as pairs of frames of a spectrogram; some tokens for each window of them that is begun. Chat templates
 * know texts alone. @throws CONFIG_INVALID, REQUEST_INVALID for files that hear otherwise than the encoder reads
 */
export async function graniteSpeechProcessor(
  folder: ModelFolder,
  { audioTokenId, windowSize, queries, audio }: GraniteSpeechConfig,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  const found = await readProcessorConfig(folder, EXTRACTOR, 'audio_processor');
  const bins = audio.inSize / 2;
  for (const [name, expected, value] of [
    ['n_mels', bins, found.bins],
    ['projector_window_size', windowSize, found.windowSize],
    ['projector_downsample_rate', windowSize / queries, found.downsampling],
  ] as const)
    if (value !== expected) refuseRequest(name, `${expected}, as config.json says`, value);
  const heard = new SoundProcessor(audioTokenId, LONGEST_SOUND, async (samples, media, what) => {
    if (samples.length <= MIRRORED) refuseShort(samples, (1000 * (MIRRORED + 1)) / MEL_RATE, what);
    const all = Math.floor(samples.length / MEL_HOP) + 1;
    const rows = Math.floor(all / 2);
    // A last frame that has no other beside it counts for how loud the sound is.
    const frames = await beside('paddedLogMel', samples, bins, { samples: samples.length, frames: all });
    const data = frames.subarray(0, 2 * rows * bins);
    const count = Math.ceil(rows / windowSize) * queries;
    return [{ data, rows, count, shape: [1, rows, 1], key: mediaKey(media) }];
  });
  const name = (audioTokenId === undefined ? undefined : encode.textOf?.(audioTokenId)) ?? AUDIO;
  return Object.assign(heard, { partTexts: { audio: name } });
}
