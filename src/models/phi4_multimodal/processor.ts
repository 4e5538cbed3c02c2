import { createHash } from 'node:crypto';
import { refuseRequest } from '../../errors.js';
import { defineConfig, field, integer, only, positive } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncoderInput,
  type EncodeWords,
  type ExpandedPrompt,
  type MagnitudeMel,
  MEL_HOP,
  MEL_RATE,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { LONGEST_SOUND, OmniProcessor, refuseShort, SoundProcessor } from '../base/audio/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { pixelFields, requireSide, squareSide } from '../base/vision/index.js';
import type { Phi4Config } from './config.js';

const COUNT = integer(1, 10_000);
const HALF = [0.5, 0.5, 0.5];
/** The only one, beyond which rows of a sound do not see each other: "maximum position" of the class. */
export const STRETCH = 500;

/** Defaults of transformers 5.24, Phi4MultimodalImageProcessor. */
const PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 448),
    patchSize: field('patch_size', COUNT, 14),
    maxTiles: field('dynamic_hd', COUNT, 36),
    ...pixelFields({ mean: HALF, std: HALF }),
  },
});

/** Keys and defaults of transformers 5.24, Phi4MultimodalFeatureExtractor. */
const EXTRACTOR = defineConfig({
  fields: {
    bins: field('feature_size', COUNT, 80),
    rate: field('sampling_rate', only(MEL_RATE), MEL_RATE),
    hop: field('hop_length', only(MEL_HOP), MEL_HOP),
    size: field('n_fft', only(512), 512),
    window: field('win_length', only(400), 400),
    preemphasis: field('preemphasis', positive(1, -1), 0.97),
    low: field('mel_min_frequency', positive(MEL_RATE / 2, -1), 0),
    high: field('mel_max_frequency', positive(MEL_RATE / 2), 7690),
    reduction: field('audio_compression_rate', COUNT, 8),
    rowsOfToken: field('audio_downsample_rate', only(1), 1),
    stride: field('audio_feat_stride', only(1), 1),
  },
});

/** Pictures on tiles, and the whole of each. */
class HdProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly pictures: ReturnType<(typeof PICTURES)['read']>,
    private readonly vision: Phi4Config['vision'],
  ) {
    this.placeholders = vision.tokenId === undefined ? {} : { image: vision.tokenId };
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { side: tile } = this.vision;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    // As torchvision's processors make numbers of bytes.
    const values = { ...this.pictures, isFused: true };
    const { data, rows, grid } = await beside('hdPictureOf', picture, this.pictures, values, what);
    const [high, wide, along] = [Math.ceil(grid[0] / 2), Math.ceil(grid[1] / 2), tile / 2];
    const count = high * (wide + 1) + 1 + along * (along + 1);
    return [{ data, rows, count, shape: [1, ...grid], key: mediaKey(media) }];
  }
}

/** What an encoder reads of a spectrogram [frames, bins]: stretches, each with the frames before it that its rows see. */
export function stretchesOf(
  mel: Float32Array,
  { bins, halvings }: Pick<Phi4Config['audio'], 'bins' | 'halvings'>,
  media: MediaFiles,
): EncoderInput[] {
  const each = 2 ** halvings;
  const [frames, all] = [mel.length / bins, Math.ceil(mel.length / bins / each)];
  return Array.from({ length: Math.ceil(all / STRETCH) }, (_, index) => {
    const first = index * STRETCH;
    const count = Math.min(STRETCH, all - first);
    const lead = index > 0 ? each - 1 : 0;
    const data = mel.subarray((first * each - lead) * bins, Math.min(frames, (first + count) * each) * bins);
    // The last of several is as long as the others.
    const rows = all > STRETCH ? STRETCH : count;
    return { data, rows, count, shape: [1, rows, 1], lead, encoder: 'second', key: mediaKey(media, index) };
  });
}

/** Sound in stretches, as the encoder looks at it. */
function soundProcessor(
  { audio }: Phi4Config,
  { window, size, low, high, preemphasis }: ReturnType<(typeof EXTRACTOR)['read']>,
): SoundProcessor {
  const { bins, tokenId } = audio;
  const floor = { floor: 1, addsFloor: false, isOfKaldi: true, gain: 32_768 };
  const mel: MagnitudeMel = { bins, window, size, lead: 0, low, high, preemphasis, ...floor };
  return new SoundProcessor(tokenId, LONGEST_SOUND, async (samples, media, what) => {
    if (samples.length < window) refuseShort(samples, (1000 * window) / MEL_RATE, what);
    const frames = Math.floor((samples.length - window) / MEL_HOP) + 1;
    return stretchesOf(await beside('magnitudeMel', samples, frames, mel), audio, media);
  });
}

/** A key of the same sound beside pictures. */
const keyBesideOthers = (key: Int32Array): Int32Array => {
  const digest = createHash('sha256').update('beside pictures').update(key).digest();
  return Int32Array.from(key, (_, word) => digest.readInt32LE(4 * word));
};

/** What sees and what hears, which is told apart where a prompt shows both. */
class PhiProcessor extends OmniProcessor {
  readonly partTexts: NonNullable<MediaProcessor['partTexts']>;

  constructor(
    seen: MediaProcessor,
    heard: MediaProcessor,
    { vision, audio }: Phi4Config,
    encode: EncodeWords,
  ) {
    super(seen, heard);
    const textOf = (id: number | undefined, name: string) =>
      (id === undefined ? undefined : encode.textOf?.(id)) ?? name;
    this.partTexts = {
      image: textOf(vision.tokenId, '<|endoftext10|>'),
      audio: textOf(audio.tokenId, '<|endoftext11|>'),
    };
  }

  /** The same inserts, sound beside pictures with keys of its own. */
  asOne({ tokens, inserts }: ExpandedPrompt): ExpandedPrompt {
    if (inserts.every(({ input }) => input.encoder === 'second')) return { tokens, inserts };
    return {
      tokens,
      inserts: inserts.map(({ start, input }) =>
        input.encoder === 'second'
          ? { start, input: { ...input, isBesideOthers: true, key: keyBesideOthers(input.key) } }
          : { start, input },
      ),
    };
  }
}

/** @throws CONFIG_INVALID, REQUEST_INVALID for files that show or hear otherwise than the encoders read */
export async function phi4Processor(
  folder: ModelFolder,
  config: Phi4Config,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  const { vision, audio } = config;
  const pictures = await readProcessorConfig(folder, PICTURES);
  const extractor = await readProcessorConfig(folder, EXTRACTOR, 'audio_processor');
  requireSide('size', pictures.side, vision.imageSize);
  for (const [name, expected, value] of [
    ['patch_size', vision.patchSize, pictures.patchSize],
    ['feature_size', audio.bins, extractor.bins],
    ['audio_compression_rate', 2 ** audio.halvings, extractor.reduction],
  ] as const)
    if (value !== expected) refuseRequest(name, `${expected}, as config.json says`, value);
  return new PhiProcessor(
    new HdProcessor(pictures, vision),
    soundProcessor(config, extractor),
    config,
    encode,
  );
}
