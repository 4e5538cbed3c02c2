import { AnyresProcessor, readAnyresPictures } from '../base/llava/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import type { Granite4VisionConfig } from './config.js';

/** Pictures as one square and as tiles, line by line, whose patches and queries come window by window. */
export class Granite4VisionProcessor extends AnyresProcessor<Granite4VisionConfig> {
  /** @throws CONFIG_INVALID, REQUEST_INVALID for tiles or canvases that are not the encoder's */
  static async load(folder: ModelFolder, config: Granite4VisionConfig): Promise<Granite4VisionProcessor> {
    return new Granite4VisionProcessor(await readAnyresPictures(folder, config, 224, 224), config);
  }

  protected override get blockSide(): number {
    return this.model.windows.windowSide;
  }

  protected override get tileSide(): number {
    const { querySide, windowSide } = this.model.windows;
    return (super.tileSide / windowSide) * querySide;
  }

  protected override rowIn(y: number, x: number): number {
    const { querySide: side } = this.model.windows;
    const window = Math.floor(y / side) * (this.tileSide / side) + Math.floor(x / side);
    return window * side * side + (y % side) * side + (x % side);
  }
}
