import { AtbError, refuseRequest } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { defineConfig, field, integer, only, positive } from '../../layers/config/index.js';
import {
  beside,
  type EncodeWords,
  type ExpandedPrompt,
  MEL_HOP,
  MEL_RATE,
  mediaKey,
  tokenOf,
} from '../../media/index.js';
import { readModelJson } from '../../tokenizer/model-files.js';
import { LONGEST_SOUND, SoundProcessor } from '../base/audio/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import type { VoxtralRealtimeConfig } from './config.js';

const WINDOW = 400;
/** Tokens behind the end of a sound in which its last word may still be written. */
const LONGEST_WORD = 10;

/** Keys and defaults of transformers 5.24, VoxtralRealtimeFeatureExtractor. */
const EXTRACTOR = defineConfig({
  fields: {
    bins: field('feature_size', integer(1, 10_000), undefined),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
    hop: field('hop_length', only(MEL_HOP), MEL_HOP),
    size: field('n_fft', only(WINDOW), WINDOW),
    window: field('win_length', only(WINDOW), WINDOW),
    silence: field('padding_value', only(0), 0),
    /** Of a sound the loudest power in log10, whatever it is; null: as loud as it is. */
    loudest: {
      read: (json) =>
        json.isNull('global_log_mel_max')
          ? undefined
          : (json.value('global_log_mel_max', positive(100)) ?? 1.5),
    },
  },
});

/** What tekken.json says of sound (mistral-common 1.13, `AudioConfig`); as published where it says nothing. */
const STREAMING = defineConfig({
  fields: {
    format: field('transcription_format', only('streaming'), 'streaming'),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
    tokensPerSecond: field('frame_rate', positive(10_000), undefined),
    delay: field('transcription_delay_ms', positive(100_000), undefined),
    silentTokens: field('streaming_n_left_pad_tokens', integer(0, 10_000), 32),
  },
});

/**
 * How many tokens of silence stand before a sound.
 * @throws CONFIG_INVALID, REQUEST_INVALID for files that want other tokens than config.json, or another delay
 */
async function silenceBefore(
  folder: ModelFolder,
  { delayTokens, framesOfToken }: VoxtralRealtimeConfig,
): Promise<number> {
  const file = 'tekken.json';
  const found = await readModelJson(folder.dir, file, folder.links);
  const audio = isObject(found) ? (found.audio ?? {}) : {};
  if (!isObject(audio)) throw new AtbError('CONFIG_INVALID', { file, problems: ['audio must be an object'] });
  const perSecond = MEL_RATE / (MEL_HOP * framesOfToken);
  const {
    silentTokens,
    tokensPerSecond = perSecond,
    delay = (1000 * delayTokens) / perSecond,
  } = STREAMING.read(audio, file);
  if (tokensPerSecond !== perSecond)
    refuseRequest('frame_rate', `${perSecond}, as audio_length_per_tok says`, tokensPerSecond);
  const tokens = (delay * perSecond) / 1000;
  if (tokens !== delayTokens)
    refuseRequest(
      'transcription_delay_ms',
      `${(1000 * delayTokens) / perSecond}, or default_num_delay_tokens of config.json to be ${tokens}`,
      delay,
    );
  return silentTokens;
}

/** Of dialogues that are a sound and nothing else. */
class StreamProcessor extends SoundProcessor {
  /** @throws REQUEST_INVALID for others, as the model is trained on none */
  asOne(prompt: ExpandedPrompt): ExpandedPrompt {
    const [first, ...others] = prompt.inserts;
    const { length } = first?.input.tokens ?? [];
    if (others.length === 0 && prompt.tokens.length === length) return prompt;
    const words = `${prompt.tokens.length - length} tokens beside a sound`;
    return refuseRequest('messages', 'one sound, and no text: this model writes down what it hears', words);
  }
}

/**
 * A whole sound, silence before and behind it, as mistral-common pads it: rows for a prompt of nothing but silence and of
 * what is heard until words may be written, and for each token of the answer, which ends where they do.
 * @throws CONFIG_INVALID, REQUEST_INVALID for files that hear otherwise than the encoder reads
 */
export async function voxtralRealtimeProcessor(
  folder: ModelFolder,
  config: VoxtralRealtimeConfig,
  encode: EncodeWords,
): Promise<SoundProcessor> {
  const { audio, delayTokens, framesOfToken, rowsOfToken, bosTokenId } = config;
  const { bins = audio.melBins, loudest } = await readProcessorConfig(folder, EXTRACTOR, 'feature_extractor');
  if (bins !== audio.melBins) refuseRequest('feature_size', `${audio.melBins}, as num_mel_bins says`, bins);
  const silent = await silenceBefore(folder, config);
  const padId = tokenOf('[STREAMING_PAD]', encode);
  const prompt = Int32Array.from({ length: 1 + silent + delayTokens }, (_, at) =>
    at === 0 ? (bosTokenId ?? 1) : (padId ?? 0),
  );
  const size = framesOfToken * MEL_HOP;
  return new StreamProcessor(padId, LONGEST_SOUND, async (samples, media) => {
    const count = silent + Math.ceil(samples.length / size) + delayTokens + 1 + LONGEST_WORD;
    const padded = new Float32Array(count * size);
    padded.set(samples, silent * size);
    const [frames, rows] = [count * framesOfToken, count * rowsOfToken];
    const data = await beside('logMel', padded, bins, { samples: padded.length, frames, loudest });
    const ahead = count - prompt.length;
    return [{ data, rows, count, ahead, tokens: prompt, shape: [1, rows, 1], key: mediaKey(media) }];
  });
}
