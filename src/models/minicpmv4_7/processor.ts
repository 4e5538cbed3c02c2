import type { EncodeWords, ExpandedPrompt } from '../../media/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { SliceProcessor } from '../base/vision/index.js';
import { slicedParts } from '../minicpmv4_6/index.js';
import { Canvases } from './canvas.js';
import type { Minicpmv47Config } from './config.js';

/** Pictures and frames as MiniCPM-V 4.6 has them, frames without numbers, on canvases. */
export class CanvasProcessor extends SliceProcessor {
  constructor(
    parts: ConstructorParameters<typeof SliceProcessor>[0],
    encode: EncodeWords,
    private readonly canvases: Canvases,
  ) {
    super(parts, encode);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for files that do not fit config.json */
  static async load(
    folder: ModelFolder,
    config: Minicpmv47Config,
    encode: EncodeWords,
  ): Promise<CanvasProcessor> {
    const parts = await slicedParts(folder, config, '16x');
    const canvases = new Canvases(config, config.mode === '16x' ? 4 : 2);
    return new CanvasProcessor({ ...parts, video: { ...parts.video, hasNumbers: false } }, encode, canvases);
  }

  placed(prompt: ExpandedPrompt): ExpandedPrompt {
    return this.canvases.place(prompt);
  }
}
