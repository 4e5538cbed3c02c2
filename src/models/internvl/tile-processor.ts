import {
  beside,
  type EncoderInput,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type PixelValues,
  type TileSizes,
  tokenOf,
} from '../../media/index.js';
import { picturesOf, squareInput } from '../base/vision/index.js';

/** What stands before and behind the tiles of a picture. */
const [BEFORE, BEHIND] = ['<img>', '</img>'];
/** What stands for a picture in texts, and for each of its rows. */
const CONTEXT = '<IMG_CONTEXT>';
/** What stands for frames in texts of tokenizers that know it. */
const VIDEO = '<video>';

/** How pictures become tiles, and tiles rows of the encoder. */
export interface TileConfig extends PixelValues, TileSizes {
  /** Whether the whole picture stands behind its tiles where these are several. */
  readonly hasThumbnail: boolean;
  readonly patchSize: number;
  /** Patches along a side of a block, which becomes one token. */
  readonly mergeSize: number;
}

/** Pictures as square tiles, each of which the encoder reads by itself (arXiv:2404.16821, section 3.3); frames as one each. */
export class TileProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;
  readonly partTexts: { readonly image: string; readonly video: string };

  /** `imageTokenId`: the token of a picture's rows; that of its text when absent. `frames`: how their pixels become numbers. */
  constructor(
    private readonly config: TileConfig,
    private readonly frames: PixelValues,
    private readonly encode: EncodeWords,
    imageTokenId: number | undefined = tokenOf(CONTEXT, encode),
  ) {
    const videoTokenId = tokenOf(VIDEO, encode);
    this.partTexts = { image: CONTEXT, video: videoTokenId === undefined ? CONTEXT : VIDEO };
    const both = imageTokenId !== undefined && { image: imageTokenId, video: imageTokenId };
    this.placeholders = { ...both, ...(both && videoTokenId !== undefined && { video: videoTokenId }) };
    this.rowTokens = { ...both };
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    return media.kind === 'video' ? this.framesOf(media, what) : this.tilesOf(media, what);
  }

  private async tilesOf(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { config, encode } = this;
    const [picture] = await picturesOf(media, what);
    const tiles = await beside('tilesOf', picture, config, config.hasThumbnail);
    const inputs = await Promise.all(
      tiles.map((tile, index) => this.inputOf(tile, config, mediaKey(media, index))),
    );
    return [encode(BEFORE), ...inputs, encode(BEHIND)];
  }

  private async framesOf(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { config, frames, encode } = this;
    const size = { width: config.side, height: config.side };
    const pieces: MediaPiece[] = [];
    for (const [index, picture] of (await picturesOf(media, what)).entries()) {
      const frame = await beside('resize', picture, size, 'bicubic');
      const words = `${index === 0 ? '' : '\n'}Frame${index + 1}: `;
      const input = await this.inputOf(frame, frames, mediaKey(media, index));
      pieces.push([...encode(words), ...encode(BEFORE)], input, encode(BEHIND));
    }
    return pieces;
  }

  private inputOf(square: Picture, values: PixelValues, key: Int32Array): Promise<EncoderInput> {
    const { patchSize, mergeSize } = this.config;
    const tokensOf = (patches: number): number => patches / mergeSize ** 2;
    return squareInput(square, values, { patchSize, tokensOf, key });
  }
}
