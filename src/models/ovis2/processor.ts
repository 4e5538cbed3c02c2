import { refuseRequest } from '../../errors.js';
import { defineConfig, field, flag, integer } from '../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncodeWords,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  RowPacker,
  tokenOf,
} from '../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../base/processor-files.js';
import { CLIP_CHANNELS, pixelFields, requireSide, squareSide } from '../base/vision/index.js';
import type { Ovis2Config } from './config.js';

const TILES = integer(1, 1000);

/** Defaults of transformers 5.24, Ovis2ImageProcessor. */
const PICTURES = defineConfig({
  fields: {
    side: squareSide('size', ['height', 'width'], 384),
    crops: field('crop_to_patches', flag, false),
    minTiles: field('min_patches', TILES, 1),
    maxTiles: field('max_patches', TILES, 12),
    byArea: field('use_covering_area_grid', flag, true),
    ...pixelFields(CLIP_CHANNELS),
  },
});

/** What templates print for a picture, and the token of each of its rows. */
const [PICTURE, ROW] = ['<image>', '<IMG_ATOM>'];
/** Before a picture, behind the whole, beside and below a tile, behind all. */
const AROUND = ['<IMG_START>', '<IMG_GRID>', '<IMG_COL>', '<IMG_ROW>', '<IMG_END>'] as const;

/** The whole of a picture and its tiles, row by row, with words of its own around and between them. */
export class Ovis2Processor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];
  readonly rowTokens: NonNullable<MediaProcessor['rowTokens']>;
  readonly templateTexts: NonNullable<MediaProcessor['templateTexts']>;

  constructor(
    private readonly pictures: ReturnType<(typeof PICTURES)['read']>,
    private readonly model: Ovis2Config,
    private readonly encode: EncodeWords,
  ) {
    const rows = model.imageTokenId;
    const picture = tokenOf(PICTURE, encode) ?? rows;
    this.placeholders = picture === undefined ? {} : { image: picture };
    this.rowTokens = rows === undefined ? {} : { image: rows };
    this.templateTexts = picture === rows ? { [PICTURE]: ROW } : {};
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for tiles of another size than the encoder's */
  static async load(folder: ModelFolder, model: Ovis2Config, encode: EncodeWords): Promise<Ovis2Processor> {
    const pictures = await readProcessorConfig(folder, PICTURES);
    requireSide('size', pictures.side, model.vision.imageSize);
    return new Ovis2Processor(pictures, model, encode);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { pictures, model } = this;
    const { patchSize, mergeSize } = model.vision;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const isCut = pictures.crops && pictures.maxTiles > 1;
    const size = { width: pictures.side, height: pictures.side };
    const { columns, rows, squares } = isCut
      ? await beside('areaTiles', picture, pictures)
      : { columns: 1, rows: 1, squares: [await beside('resize', picture, size, 'bicubic')] };
    const [first, ...others] = squares as [Picture, ...Picture[]];
    const cut = { patchSize, temporalPatchSize: 1, mergeSize };
    const { data, grid } = await beside('patchesOf', [first, ...others], pictures, cut);
    const [frames, down, across] = grid;
    const ofTile = (down * across) / mergeSize ** 2;
    const [packer, tokens]: [RowPacker, number[]] = [new RowPacker(), []];
    const addWord = (word: (typeof AROUND)[number]): void => {
      const id = tokenOf(word, this.encode) ?? -1;
      const place = model.indicatorIds.indexOf(id);
      if (place < 0)
        refuseRequest('visual_indicator_token_ids', `the token of ${word} among them`, model.indicatorIds);
      packer.add(-1 - place);
      tokens.push(id);
    };
    const addTile = (tile: number): void => {
      packer.addAll(tile * ofTile, ofTile);
      tokens.push(...Array<number>(ofTile).fill(model.imageTokenId ?? 0));
    };
    addWord('<IMG_START>');
    addTile(0);
    addWord('<IMG_GRID>');
    for (let tile = 1; tile < frames; tile++) {
      addTile(tile);
      if (tile % columns !== 0) addWord('<IMG_COL>');
      else if (tile < rows * columns) addWord('<IMG_ROW>');
    }
    addWord('<IMG_END>');
    const made = { data, rows: frames * down * across, count: tokens.length, shape: grid };
    return [{ ...made, shares: packer.finish(), tokens: Int32Array.from(tokens), key: mediaKey(media) }];
  }
}
