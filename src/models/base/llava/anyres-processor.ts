import { refuseRequest } from '../../../errors.js';
import { defineConfig, type Field, field, flag, integer, listOf } from '../../../layers/config/index.js';
import {
  type AnyresSizes,
  beside,
  coveredPart,
  decodePicture,
  type EncoderInput,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type PictureSize,
  type PixelValues,
  RowPacker,
  type RowShares,
} from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';
import { CLIP_CHANNELS, pixelFields, requireSide, squareSide } from '../vision/index.js';
import type { SquareLlava } from './encoder.js';

/** A configuration with canvases: [height, width] each. */
export interface AnyresModel {
  readonly canvases: readonly PictureSize[];
  readonly imageTokenId: number | undefined;
  readonly vision: { readonly kind: string; readonly imageSize: number; readonly patchSize: number };
}
export type AnyresLlava = SquareLlava & AnyresModel;

const LENGTH = integer(1, 100_000);

/** Sizes of canvases, each as its height and its width; undefined where the file is silent. */
const givenCanvases: Field<readonly PictureSize[] | undefined> = {
  read(json) {
    const given = json.value('image_grid_pinpoints', listOf(listOf(LENGTH, 'sizes'), 'pairs of sizes'));
    return given?.map(([height, width, ...more]) => {
      if (height !== undefined && width !== undefined && more.length === 0) return { height, width };
      return json.fail('image_grid_pinpoints must be a list of pairs of height and width');
    });
  },
};

/** The same, of whole tiles each, with what a class has where the file is silent, as [height, width]. */
export const canvasesOr = (
  fallback: readonly (readonly [height: number, width: number])[],
): Field<readonly PictureSize[], { readonly vision: { readonly imageSize: number } }> => ({
  read(json, { vision: { imageSize } }) {
    const found = givenCanvases.read(json, {}) ?? fallback.map(([height, width]) => ({ height, width }));
    const isWhole = (side: number): boolean => side % imageSize === 0;
    if (found.length > 0 && found.every(({ height, width }) => isWhole(height) && isWhole(width)))
      return found;
    return json.fail(
      `image_grid_pinpoints must be sizes of whole tiles of ${imageSize} pixels, at least one`,
    );
  },
});

/**
 * What processors of pictures on canvases do; defaults of transformers 5.24, LlavaNextImageProcessor and
 * LlavaOnevisionImageProcessor.
 */
const anyresPictures = (side: number, crop: number | undefined) =>
  defineConfig({
    fields: {
      side: squareSide('size', ['shortest_edge', 'height', 'width'], side),
      crop: {
        read: (json) =>
          json.isAbsent('crop_size')
            ? crop
            : squareSide('crop_size', ['height', 'width'], side).read(json, {}),
      } satisfies Field<number | undefined>,
      canvases: givenCanvases,
      ...pixelFields(CLIP_CHANNELS),
      crops: field('do_center_crop', flag, crop !== undefined),
      // Says whether tiles are added that the encoder leaves out again.
      pads: field('do_pad', flag, true),
    },
  });
export type AnyresPictures = ReturnType<ReturnType<typeof anyresPictures>['read']>;

/** What the file says. @throws CONFIG_INVALID, REQUEST_INVALID for tiles or canvases that are not the encoder's */
export async function readAnyresPictures(
  folder: ModelFolder,
  { vision: { imageSize }, canvases }: AnyresModel,
  side: number,
  crop?: number,
): Promise<AnyresPictures> {
  const found = await readProcessorConfig(folder, anyresPictures(side, crop));
  requireSide('size', found.side, imageSize);
  if (found.crop !== undefined) requireSide('crop_size', found.crop, imageSize);
  const written = (all: readonly PictureSize[]): string =>
    all.map(({ height, width }) => `${height} x ${width}`).join(', ');
  if (found.canvases && written(found.canvases) !== written(canvases))
    refuseRequest(
      'image_grid_pinpoints',
      `${written(canvases)}, as config.json says`,
      written(found.canvases),
    );
  return found;
}

/**
 * Pictures as one square and as tiles of the canvas that fits them best, line by line (LLaVA-NeXT, "dynamic high
 * resolution").
 */
export class AnyresProcessor<C extends AnyresModel = AnyresLlava> implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    protected readonly pictures: AnyresPictures,
    protected readonly model: C,
  ) {
    this.placeholders = model.imageTokenId === undefined ? {} : { image: model.imageTokenId };
  }

  /** Patches along a side of a block, by which they come. */
  protected get blockSide(): number {
    return 1;
  }

  /** Rows that may become tokens along a side of a tile: its patches. */
  protected get tileSide(): number {
    const { imageSize, patchSize } = this.model.vision;
    return Math.floor(imageSize / patchSize);
  }

  /** @throws MEDIA_* */
  async process(
    media: MediaFiles,
    what: string,
    _place: number,
    _count: number,
  ): Promise<readonly MediaPiece[]> {
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const sizes: AnyresSizes = { side: this.model.vision.imageSize, canvases: this.model.canvases };
    const { whole, tiles, ...grid } = await beside('anyresOf', picture, sizes);
    return [await this.inputOf([whole, ...tiles], this.sharesOf(picture, grid), mediaKey(media))];
  }

  /** The rows of the whole, and of the canvas those that the picture covers, with what ends a line behind each line. */
  protected sharesOf(
    picture: PictureSize,
    grid: { readonly rows: number; readonly columns: number },
  ): RowShares {
    const side = this.tileSide;
    const packer = new RowPacker();
    for (let at = 0; at < side * side; at++) packer.add(this.rowIn(Math.floor(at / side), at % side));
    const part = coveredPart(picture, { rows: grid.rows * side, columns: grid.columns * side });
    const at = (y: number, x: number): number => {
      const tile = Math.floor(y / side) * grid.columns + Math.floor(x / side);
      return (1 + tile) * side * side + this.rowIn(y % side, x % side);
    };
    packer.addWindow(at, part, this.sizeOf(part), true);
    return packer.finish();
  }

  /** Which of a tile's rows stands at a place: they come line by line. */
  protected rowIn(y: number, x: number): number {
    return y * this.tileSide + x;
  }

  /** To how many rows and columns a part of a canvas comes: as many as it has. */
  protected sizeOf(part: { readonly rows: number; readonly columns: number }) {
    return part;
  }

  /** Squares that the encoder sees one by one, and what becomes of its rows. */
  protected async inputOf(
    squares: readonly Picture[],
    shares: RowShares,
    key: Int32Array,
    values: PixelValues = this.pictures,
  ): Promise<EncoderInput> {
    const { kind, patchSize } = this.model.vision;
    const sizes = { patchSize, temporalPatchSize: 1, mergeSize: this.blockSide };
    const [first, ...others] = squares as [Picture, ...Picture[]];
    const { data, grid } = await beside('patchesOf', [first, ...others], values, sizes);
    const [frames, rows, columns] = grid;
    const patches = rows * columns;
    const shape = kind === 'clip_vision_model' ? ([frames, patches + 1, 1] as const) : grid;
    return { data, rows: frames * patches, count: shares.rows[0]?.length ?? 0, shape, shares, key };
  }
}
