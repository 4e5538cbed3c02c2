import { refuseRequest } from '../../errors.js';
import { defineConfig, field, flag, integer, only } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { CLIP_CHANNELS, pixelFields, requireSide, squareInput, squareSide } from '../base/vision/index.js';
import type { Cohere2VisionConfig } from './config.js';

/** Defaults of transformers 5.24, Cohere2VisionImageProcessor. */
const COHERE2_PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 512),
    // Tokens along a side of a tile, whatever it is called.
    tokenSide: field('patch_size', integer(1, 1000), 16),
    cuts: field('crop_to_patches', flag, true),
    maxTiles: field('max_patches', integer(1, 1000), 12),
    fewest: field('min_patches', only(1), 1),
    ...pixelFields(CLIP_CHANNELS),
  },
});
type PictureConfig = ReturnType<(typeof COHERE2_PICTURES)['read']>;

/** What stands before and behind a picture, and behind each of its tiles. */
const [BEFORE, BEHIND, LINE] = ['<|START_OF_IMG|>', '<|END_OF_IMG|>', '<|IMG_LINE_BREAK|>'];

/** Pictures as tiles and, where these are several, the whole as one more. */
export class Cohere2VisionProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly pictures: PictureConfig,
    private readonly model: Cohere2VisionConfig,
    private readonly encode: EncodeWords,
  ) {
    this.placeholders = model.imageTokenId === undefined ? {} : { image: model.imageTokenId };
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for tiles of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    model: Cohere2VisionConfig,
    encode: EncodeWords,
  ): Promise<Cohere2VisionProcessor> {
    const config = await readProcessorConfig(folder, COHERE2_PICTURES);
    const { imageSize, patchSize } = model.vision;
    requireSide('size', config.side, imageSize);
    const tokenSide = Math.floor(imageSize / patchSize) / model.mergeSize;
    if (config.tokenSide !== tokenSide)
      refuseRequest('patch_size', `${tokenSide}, as many tokens as a side of a tile has`, config.tokenSide);
    return new Cohere2VisionProcessor(config, model, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { side, cuts, maxTiles } = this.pictures;
    const {
      vision: { patchSize },
      mergeSize,
    } = this.model;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const tiles = await beside('coveringTiles', picture, { side, maxTiles: cuts ? maxTiles : 1 });
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    const pieces: MediaPiece[] = [this.encode(BEFORE)];
    for (const [index, tile] of tiles.entries()) {
      const sizes = { patchSize, tokensOf, key: mediaKey(media, index), hasFirst: false };
      pieces.push(await squareInput(tile, { ...this.pictures, isFused: true }, sizes), this.encode(LINE));
    }
    return [...pieces, this.encode(BEHIND)];
  }
}
