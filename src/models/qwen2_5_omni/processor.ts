import type { MediaFiles, MediaPiece, MediaProcessor } from '../../media/index.js';
import { readMelFiles, readsPairs, SoundProcessor } from '../base/audio/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { PatchProcessor } from '../base/vision/index.js';
import { Qwen25vlProcessor } from '../qwen2_5_vl/index.js';
import type { Qwen25OmniConfig } from './config.js';

/** What sees and what hears, of one model. */
export class OmniProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly seen: MediaProcessor,
    private readonly heard: MediaProcessor,
  ) {
    this.placeholders = { ...seen.placeholders, ...heard.placeholders };
  }

  /** @throws MEDIA_*, REQUEST_INVALID for frames of several sizes */
  async process(
    media: MediaFiles,
    what: string,
    place: number,
    count: number,
  ): Promise<readonly MediaPiece[]> {
    if (media.kind !== 'audio') return this.seen.process(media, what, place, count);
    const pieces = await this.heard.process(media, what, place, count);
    return pieces.map((piece) => ('data' in piece ? { ...piece, encoder: 'sound' } : piece));
  }
}

/**
 * Pictures and frames as Qwen2.5-VL's, and sound, of which frames behind its end are nothing.
 * @throws as `readPatchConfigs` and `readMelFiles`
 */
export async function qwen25OmniProcessor(
  folder: ModelFolder,
  config: Qwen25OmniConfig,
): Promise<OmniProcessor> {
  const { melBins } = config.audio;
  const seen = new Qwen25vlProcessor(await PatchProcessor.load(folder, config), config.tokensPerSecond);
  const seconds = await readMelFiles(folder, melBins);
  const reads = readsPairs({ melBins, seconds, tail: 0 });
  return new OmniProcessor(seen, new SoundProcessor(config.audioTokenId, { seconds, cuts: true }, reads));
}
