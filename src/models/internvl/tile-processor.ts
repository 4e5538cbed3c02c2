import {
  beside,
  decodePicture,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type PixelValues,
  type TileSizes,
  tokenOf,
} from '../../media/index.js';
import { squareInput } from '../base/vision/index.js';

/** What stands before and behind the tiles of a picture. */
const [BEFORE, BEHIND] = ['<img>', '</img>'];
/** What stands for a picture in texts, and for each of its rows. */
const CONTEXT = '<IMG_CONTEXT>';

/** How pictures become tiles, and tiles rows of the encoder. */
export interface TileConfig extends PixelValues, TileSizes {
  /** Whether the whole picture stands behind its tiles where these are several. */
  readonly hasThumbnail: boolean;
  readonly patchSize: number;
  /** Patches along a side of a block, which becomes one token. */
  readonly mergeSize: number;
}

/** Pictures as square tiles, each of which the encoder reads by itself (arXiv:2404.16821, section 3.3). */
export class TileProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly partTexts = { image: CONTEXT };

  /** `imageTokenId`: the token of a picture's rows; that of its text when absent. */
  constructor(
    private readonly config: TileConfig,
    private readonly encode: EncodeWords,
    imageTokenId: number | undefined = tokenOf(CONTEXT, encode),
  ) {
    this.placeholders = imageTokenId === undefined ? {} : { image: imageTokenId };
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { config, encode } = this;
    const { patchSize, mergeSize, hasThumbnail } = config;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const tiles = await beside('tilesOf', picture, config, hasThumbnail);
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    const inputs = await Promise.all(
      tiles.map((tile, index) =>
        squareInput(tile, config, { patchSize, tokensOf, key: mediaKey(media, index) }),
      ),
    );
    return [encode(BEFORE), ...inputs, encode(BEHIND)];
  }
}
