import { OmniProcessor, readMelFiles, readsPairs, SoundProcessor } from '../base/audio/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { PatchProcessor } from '../base/vision/index.js';
import { Qwen25vlProcessor } from '../qwen2_5_vl/index.js';
import type { Qwen25OmniConfig } from './config.js';

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
