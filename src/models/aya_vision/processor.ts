import {
  beside,
  decodePicture,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  tokenOf,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { requireSide, squareInput } from '../base/vision/index.js';
import { TILE_PICTURES } from '../internvl/index.js';
import type { AyaVisionConfig } from './config.js';

/** What templates print for a picture, and the token of each of its rows. */
const [PICTURE, ROW] = ['<image>', '<|IMG_PATCH|>'];
/** What stands before and behind a picture. */
const [BEFORE, BEHIND] = ['<|START_OF_IMG|>', '<|END_OF_IMG|>'];

/** Pictures as tiles with their numbers, and the whole behind them. */
export class AyaVisionProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;
  readonly templateTexts: NonNullable<MediaProcessor['templateTexts']>;

  constructor(
    private readonly pictures: ReturnType<(typeof TILE_PICTURES)['read']>,
    private readonly model: AyaVisionConfig,
    private readonly encode: EncodeWords,
  ) {
    const rows = model.imageTokenId;
    const picture = tokenOf(PICTURE, encode) ?? rows;
    this.placeholders = picture === undefined ? {} : { image: picture };
    this.rowTokens = rows === undefined ? {} : { image: rows };
    this.templateTexts = picture === rows ? { [PICTURE]: ROW } : {};
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for tiles of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    model: AyaVisionConfig,
    encode: EncodeWords,
  ): Promise<AyaVisionProcessor> {
    const config = await readProcessorConfig(folder, TILE_PICTURES);
    const { imageSize } = model.vision;
    requireSide('size', config.side, imageSize);
    return new AyaVisionProcessor(config, model, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const {
      vision: { patchSize },
      mergeSize,
    } = this.model;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const tiles = await beside('tilesOf', picture, this.pictures, true);
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    const pieces: MediaPiece[] = [];
    for (const [index, tile] of tiles.entries()) {
      const name = index < tiles.length - 1 ? `TILE_${index + 1}` : 'TILE_GLOBAL';
      const sizes = { patchSize, tokensOf, key: mediaKey(media, index), hasFirst: false };
      pieces.push(
        this.encode(index === 0 ? BEFORE + name : name),
        await squareInput(tile, this.pictures, sizes),
      );
    }
    return [...pieces, this.encode(BEHIND)];
  }
}
