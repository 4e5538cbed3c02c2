import { defineConfig, type Field, field, integer, only } from '../../layers/config/index.js';
import {
  beside,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  RowPacker,
} from '../../media/index.js';
import { type AnyresPictures, AnyresProcessor, readAnyresPictures } from '../base/llava/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { CLIP_CHANNELS, picturesOf, pixelFields, requireSide, squareSide } from '../base/vision/index.js';
import type { LlavaNextVideoConfig } from './config.js';

const SIDE = 224;

const shortest: Field<number> = {
  read: (json) => json.section('size')?.value('shortest_edge', integer(1, 4096)) ?? SIDE,
};

/** Defaults of transformers 5.24, LlavaNextVideoVideoProcessor. */
const FRAMES = defineConfig({
  fields: {
    shortest,
    crop: squareSide('crop_size', ['height', 'width'], SIDE),
    crops: field('do_center_crop', only(true), true),
    ...pixelFields(CLIP_CHANNELS),
  },
});
type FrameConfig = ReturnType<(typeof FRAMES)['read']>;

/** Pictures as LLaVA-NeXT has them; of frames the middle, each block of 2 x 2 patches as one token. */
export class NextVideoProcessor extends AnyresProcessor {
  override readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    pictures: AnyresPictures,
    private readonly frames: FrameConfig,
    config: LlavaNextVideoConfig,
  ) {
    super(pictures, config);
    const { imageTokenId, videoTokenId } = config;
    this.placeholders = {
      ...(imageTokenId !== undefined && { image: imageTokenId }),
      ...(videoTokenId !== undefined && { video: videoTokenId }),
    };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares that are not the encoder's */
  static async load(folder: ModelFolder, config: LlavaNextVideoConfig): Promise<NextVideoProcessor> {
    const pictures = await readAnyresPictures(folder, config, SIDE, SIDE);
    const frames = await readProcessorConfig(folder, FRAMES, 'video_processor');
    requireSide('crop_size', frames.crop, config.vision.imageSize);
    return new NextVideoProcessor(pictures, frames, config);
  }

  /** @throws MEDIA_* */
  override async process(
    media: MediaFiles,
    what: string,
    place: number,
    count: number,
  ): Promise<readonly MediaPiece[]> {
    if (media.kind !== 'video') return super.process(media, what, place, count);
    const { tileSide: side, frames } = this;
    const whole = { top: 0, left: 0, rows: side, columns: side };
    const packer = new RowPacker();
    const squares = [];
    for (const [frame, picture] of (await picturesOf(media, what)).entries()) {
      squares.push(await beside('middleSquare', picture, frames.shortest, frames.crop, what));
      const at = (y: number, x: number): number => (frame * side + y) * side + x;
      // Drawn together to half as many rows, each new one is the mean of four.
      packer.addWindow(at, whole, { rows: side / 2, columns: side / 2 }, false);
    }
    return [await this.inputOf(squares, packer.finish(), mediaKey(media), frames)];
  }
}
