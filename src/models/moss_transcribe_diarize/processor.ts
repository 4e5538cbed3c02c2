import { isObject } from '../../is-object.js';
import { defineConfig, field, integer, positive } from '../../layers/config/index.js';
import {
  beside,
  type EncoderInput,
  type EncodeWords,
  MEL_HOP,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { readModelJson } from '../../tokenizer/model-files.js';
import { LONGEST_SOUND, readMelFiles, SoundProcessor } from '../base/audio/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import type { MossConfig } from './config.js';

/** Defaults of transformers 5.24, MossTranscribeDiarizeProcessor. */
const MARKS = defineConfig({
  fields: {
    rate: field('audio_tokens_per_second', positive(1e6), 12.5),
    every: field('time_marker_every_seconds', integer(0, 1_000_000), 2),
  },
});

/** When seconds are written between tokens of a sound, and how often. */
export type Marks = Pick<ReturnType<(typeof MARKS)['read']>, 'rate' | 'every'>;

/** The ids of what stands for stretches of a sound of so many tokens each: behind every few of them the second that it is. */
export function markedTokens(
  counts: readonly number[],
  rowToken: number,
  { rate, every }: Marks,
  encode: (text: string) => readonly number[],
): number[][] {
  const perMark = Math.trunc(rate * every);
  const seconds = Math.trunc(counts.reduce((sum, count) => sum + count, 0) / rate);
  let before = 0;
  return counts.map((count) => {
    const ids: number[] = [];
    for (let token = 0; token < count; token++) {
      ids.push(rowToken);
      before++;
      const second = (before / perMark) * every;
      if (perMark > 0 && before % perMark === 0 && second <= seconds) ids.push(...encode(`${second}`));
    }
    return ids;
  });
}

/**
 * Sound in stretches with a spectrogram each, the last one followed by silence, which is heard, too, but becomes no
 * token; seconds between tokens. @throws CONFIG_INVALID, as `readMelFiles`
 */
export async function mossProcessor(
  folder: ModelFolder,
  { audioTokenId, rowsOfToken, audio: { maxPositions: rows, melBins } }: MossConfig,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  await readMelFiles(folder, melBins);
  const said = await readModelJson(folder.dir, 'processor_config.json', folder.links);
  const marks = MARKS.read(isObject(said) ? said : {}, 'processor_config.json');
  const [frames, length] = [2 * rows, 2 * rows * MEL_HOP];
  return new SoundProcessor(audioTokenId, LONGEST_SOUND, async (samples, media): Promise<EncoderInput[]> => {
    const heard = Array.from({ length: Math.max(1, Math.ceil(samples.length / length)) }, (_, stretch) =>
      // A view would bring all of the sound to the thread that computes.
      samples.slice(stretch * length, (stretch + 1) * length),
    );
    const counts = heard.map((own) =>
      Math.ceil(Math.ceil(Math.ceil(own.length / MEL_HOP) / 2) / rowsOfToken),
    );
    const tokens = markedTokens(counts, audioTokenId ?? -1, marks, encode);
    const inputs: EncoderInput[] = [];
    for (const [stretch, own] of heard.entries()) {
      const data = await beside('logMel', own, melBins, { samples: length, frames });
      const ids = Int32Array.from(tokens[stretch] ?? []);
      const key = mediaKey(media, stretch);
      inputs.push({ data, rows, count: ids.length, shape: [1, rows, 1], tokens: ids, key });
    }
    return inputs;
  });
}
