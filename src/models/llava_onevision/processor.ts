import { defineConfig } from '../../layers/config/index.js';
import {
  beside,
  LINE_END,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  RowPacker,
  shrunkWindow,
} from '../../media/index.js';
import { type AnyresPictures, AnyresProcessor, readAnyresPictures } from '../base/llava/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { CLIP_CHANNELS, picturesOf, pixelFields, requireSide, squareSide } from '../base/vision/index.js';
import type { LlavaOnevisionConfig } from './config.js';

/** Where files are silent, of LlavaOnevisionImageProcessor and LlavaOnevisionVideoProcessor in transformers 5.24. */
const SIDE = 384;
const FRAMES = defineConfig({
  fields: { side: squareSide('size', ['height', 'width'], SIDE), ...pixelFields(CLIP_CHANNELS) },
});
type FrameConfig = ReturnType<(typeof FRAMES)['read']>;

/**
 * A picture alone as a square and as tiles, several as squares with a rim, frames as squares with a quarter of their
 * rows.
 */
export class OnevisionProcessor extends AnyresProcessor {
  override readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    pictures: AnyresPictures,
    private readonly frames: FrameConfig,
    private readonly config: LlavaOnevisionConfig,
  ) {
    super(pictures, config);
    const { imageTokenId, videoTokenId } = config;
    this.placeholders = {
      ...(imageTokenId !== undefined && { image: imageTokenId }),
      ...(videoTokenId !== undefined && { video: videoTokenId }),
    };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for tiles that are not the encoder's */
  static async load(folder: ModelFolder, config: LlavaOnevisionConfig): Promise<OnevisionProcessor> {
    const pictures = await readAnyresPictures(folder, config, SIDE);
    const frames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    const { imageSize } = config.vision;
    requireSide('size', frames.side, imageSize);
    return new OnevisionProcessor(pictures, frames, config);
  }

  /** @throws MEDIA_* */
  override async process(
    media: MediaFiles,
    what: string,
    place: number,
    count: number,
  ): Promise<readonly MediaPiece[]> {
    if (media.kind === 'video') return this.framesOf(media, what);
    return count === 1 ? super.process(media, what, place, count) : this.squareOf(media, what);
  }

  /** Fewer where a canvas has more patches than so many tiles. */
  protected override sizeOf(part: { readonly rows: number; readonly columns: number }) {
    return shrunkWindow(part, this.config.mostTiles * this.tileSide ** 2);
  }

  /** One of several pictures. */
  private async squareOf(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const [picture] = await picturesOf(media, what);
    const colour = this.pictures.mean.map((mean) => Math.trunc(mean * 255));
    const square = await beside('paddedSquare', picture, this.config.vision.imageSize, colour);
    const packer = new RowPacker();
    packer.addAll(0, this.tileSide ** 2);
    packer.add(LINE_END);
    // Another key than that of the same picture alone.
    return [await this.inputOf([square], packer.finish(), mediaKey(media, 1))];
  }

  private async framesOf(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { tileSide: side } = this;
    const { imageSize } = this.config.vision;
    const size = { width: imageSize, height: imageSize };
    const [half, whole] = [Math.ceil(side / 2), { top: 0, left: 0, rows: side, columns: side }];
    const packer = new RowPacker();
    const squares = [];
    for (const [frame, picture] of (await picturesOf(media, what)).entries()) {
      squares.push(await beside('resize', picture, size, 'bicubic'));
      const at = (y: number, x: number): number => (frame * side + y) * side + x;
      packer.addWindow(at, whole, { rows: half, columns: half }, false);
    }
    packer.add(LINE_END);
    return [await this.inputOf(squares, packer.finish(), mediaKey(media), this.frames)];
  }
}
