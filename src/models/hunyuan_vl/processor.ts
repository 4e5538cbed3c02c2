import { constant, defineConfig, field, only } from '../../layers/config/index.js';
import { type EncoderInput, type MediaFiles, type MediaPiece, RowPacker } from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { CLIP_CHANNELS, PatchProcessor, patchFields, requirePatches } from '../base/vision/index.js';
import type { HunyuanVlConfig } from './config.js';
import { EDGES } from './vision-tower.js';

/** Defaults of transformers 5.24, HunYuanVLImageProcessor: a patch is of one frame. */
const PICTURES = defineConfig({
  fields: {
    ...patchFields({ patchSize: 16, minPixels: 512 * 512, maxPixels: 2048 * 2048, ...CLIP_CHANNELS }),
    temporalPatchSize: field('temporal_patch_size', only(1), 1),
    resample: constant(3),
  },
  irrelevant: { resample: 'pictures are resized bicubically, whatever the file says, as its class does it' },
});

/** Pictures as Qwen2-VL has them, with a token behind each line, one before all and one behind. */
export class HunyuanVlProcessor extends PatchProcessor {
  /** @throws CONFIG_INVALID, REQUEST_INVALID for patches that are not the encoder's */
  static async read(folder: ModelFolder, model: HunyuanVlConfig): Promise<HunyuanVlProcessor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    requirePatches(pictures, model.vision);
    return new HunyuanVlProcessor({ pictures, frames: pictures }, model);
  }

  override async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const pieces = await super.process(media, what);
    return pieces.map((piece) => ('data' in piece ? withEdges(piece) : piece));
  }
}

function withEdges(input: EncoderInput): EncoderInput {
  const { frames = 1, rows = 0, columns = 0 } = input.grid ?? {};
  const packer = new RowPacker();
  packer.add(EDGES.begin);
  for (let row = 0; row < rows; row++) {
    packer.addAll(row * columns, columns);
    packer.add(EDGES.line);
  }
  packer.add(EDGES.end);
  const grid = { frames, rows, columns: columns + 1 };
  return { ...input, count: packer.count, grid, shares: packer.finish() };
}
