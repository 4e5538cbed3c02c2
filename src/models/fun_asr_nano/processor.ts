import { refuseRequest } from '../../errors.js';
import { defineConfig, field, integer, only } from '../../layers/config/index.js';
import { beside, type MagnitudeMel, MEL_HOP, MEL_RATE, mediaKey } from '../../media/index.js';
import { refuseShort, SoundProcessor } from '../base/audio/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import type { FunAsrNanoConfig } from './config.js';

const COUNT = integer(1, 10_000);
const WINDOW = 400;

/** Keys and defaults of transformers 5.24, FunAsrNanoFeatureExtractor. */
const EXTRACTOR = defineConfig({
  fields: {
    bins: field('feature_size', COUNT, 80),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
    milliseconds: field('frame_length', only((1000 * WINDOW) / MEL_RATE), (1000 * WINDOW) / MEL_RATE),
    hop: field('frame_shift', only((1000 * MEL_HOP) / MEL_RATE), (1000 * MEL_HOP) / MEL_RATE),
    stacked: field('num_frames_lfr', COUNT, 7),
    stride: field('stride_lfr', COUNT, 6),
    shape: field('window', only('hamming'), 'hamming'),
  },
});

/** Frames [frames, bins] as rows of so many side by side, the last and the first of a sound standing for those beyond them. */
export function stackedFrames(
  mel: Float32Array,
  bins: number,
  { stacked, stride }: { readonly stacked: number; readonly stride: number },
): Float32Array {
  const frames = mel.length / bins;
  const before = Math.floor((stacked - 1) / 2);
  const rows = Math.ceil(frames / stride);
  const data = new Float32Array(rows * stacked * bins);
  for (let row = 0; row < rows; row++)
    for (let k = 0; k < stacked; k++) {
      const frame = Math.min(Math.max(row * stride + k - before, 0), frames - 1);
      data.set(mel.subarray(frame * bins, (frame + 1) * bins), (row * stacked + k) * bins);
    }
  return data;
}

/**
 * Whole sounds as stacked frames, each row a token; as many as there are positions.
 * @throws CONFIG_INVALID, REQUEST_INVALID for files that hear otherwise than the encoder reads
 */
export async function funAsrNanoProcessor(
  folder: ModelFolder,
  { audioTokenId, audio: { bins, stacked, positions } }: FunAsrNanoConfig,
): Promise<SoundProcessor> {
  const found = await readProcessorConfig(folder, EXTRACTOR, 'feature_extractor');
  for (const [name, expected, value] of [
    ['feature_size', bins, found.bins],
    ['num_frames_lfr', stacked, found.stacked],
  ] as const)
    if (value !== expected) refuseRequest(name, `${expected}, as config.json says`, value);
  // Of Kaldi, where nobody says otherwise; the floor is the least that f32 tells from 1.
  const mel: MagnitudeMel = {
    ...{ bins, window: WINDOW, size: 512, lead: 0, low: 20, high: MEL_RATE / 2, preemphasis: 0.97 },
    ...{ floor: 2 ** -23, addsFloor: false, isOfKaldi: true, removesMean: true },
  };
  // Positions count from 1.
  const seconds = Math.floor(((positions - 1) * found.stride * MEL_HOP) / MEL_RATE);
  return new SoundProcessor(audioTokenId, { seconds, cuts: false }, async (samples, media, what) => {
    if (samples.length < WINDOW) refuseShort(samples, (1000 * WINDOW) / MEL_RATE, what);
    const frames = Math.floor((samples.length - WINDOW) / MEL_HOP) + 1;
    const data = stackedFrames(await beside('magnitudeMel', samples, frames, mel), bins, found);
    const rows = Math.ceil(frames / found.stride);
    return [{ data, rows, count: rows, shape: [1, rows, 1], key: mediaKey(media) }];
  });
}
