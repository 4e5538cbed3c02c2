import { refuseRequest } from '../../errors.js';
import { constant, defineConfig, field, integer, only } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type ExpandedPrompt,
  endOf,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { BILINEAR, pixelFields, requireSide, squareSide } from '../base/vision/index.js';
import { type MllamaConfig, patchesOfTile } from './config.js';

/** Defaults of transformers 5.24, MllamaImageProcessor. */
const PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 224),
    maxTiles: field('max_image_tiles', integer(1, 64), 4),
    pads: field('do_pad', only(true), true),
    fillsCanvas: constant(false),
    ...pixelFields({ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }, BILINEAR),
  },
});
type PictureConfig = ReturnType<(typeof PICTURES)['read']>;

/** Pictures as tiles of a canvas, row by row; one token stands for all of them. */
export class MllamaProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly pictures: PictureConfig,
    private readonly model: MllamaConfig,
  ) {
    this.placeholders = model.imageTokenId === undefined ? {} : { image: model.imageTokenId };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for tiles of another size or number than the encoder's */
  static async load(folder: ModelFolder, model: MllamaConfig): Promise<MllamaProcessor> {
    const config = await readProcessorConfig(folder, PICTURES);
    const { imageSize, maxTiles } = model.vision;
    requireSide('size', config.side, imageSize);
    if (config.maxTiles !== maxTiles)
      refuseRequest('max_image_tiles', `${maxTiles}, as max_num_tiles says`, config.maxTiles);
    return new MllamaProcessor(config, model);
  }

  /**
   * Pictures decide about all tokens from the prompt's first on, as the class of transformers has it: those before
   * them see rows of all of them.
   */
  asOne({ tokens, inserts }: ExpandedPrompt): ExpandedPrompt {
    const [first, last] = [inserts[0], inserts.at(-1)];
    if (first === undefined || last === undefined) return { tokens, inserts };
    const one = { ...first.input, count: endOf(last) };
    if (inserts.length === 1) return { tokens, inserts: [{ start: 0, input: one }] };
    const rows = inserts.reduce((sum, { input }) => sum + input.rows, 0);
    const key = Int32Array.from(inserts.flatMap((insert) => [...insert.input.key]));
    const { data: _, grid: __, ...rest } = one;
    const whole = { ...rest, data: new Float32Array(), rows, key, parts: inserts };
    return { tokens, inserts: [{ start: 0, input: whole }] };
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { vision } = this.model;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const { squares, whole, columns, rows } = await beside('canvasOf', picture, this.pictures);
    const tiles = squares.length > 0 ? squares : [whole];
    const sizes = { patchSize: vision.patchSize, temporalPatchSize: 1, mergeSize: 1 };
    const parts = await Promise.all(tiles.map((tile) => beside('patchesOf', [tile], this.pictures, sizes)));
    const count = patchesOfTile(vision);
    const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
    let at = 0;
    for (const part of parts) {
      data.set(part.data, at);
      at += part.data.length;
    }
    return [
      {
        data,
        rows: tiles.length * count,
        count: 1,
        shape: [tiles.length, count, 1],
        // Of tiles, not of tokens: which canvas it is.
        grid: { frames: 1, rows: Math.max(rows, 1), columns: Math.max(columns, 1) },
        key: mediaKey(media),
      },
    ];
  }
}
