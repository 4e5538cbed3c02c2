import { refuseRequest } from '../../../errors.js';
import { type Check, defineConfig, type Field, field, integer, only } from '../../../layers/config/index.js';
import {
  beside,
  decodePicture,
  type EncoderInput,
  forPictures,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  type Picture,
  type PictureSize,
  type PixelValues,
} from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';
import { CLIP_CHANNELS, pixelFields, requireSide } from './picture-config.js';

const SIDE = integer(1, 4096);

/** A side of a square: a number, or an object that has it under one of the names. */
export const squareSide = (
  name: string,
  members: readonly string[],
  fallback: number,
  check: Check<number> = SIDE,
): Field<number> => ({
  read(json) {
    const plain = json.raw(name);
    if (typeof plain === 'number') return json.check(name, plain, check) ?? fallback;
    return json.section(name)?.value(members, check) ?? fallback;
  },
});

/** The size to which pictures come, or how long their shorter side becomes. */
const resized: Field<number | PictureSize> = {
  read(json) {
    const given = json.raw('size');
    const plain = typeof given === 'number' ? json.check('size', given, SIDE) : undefined;
    const size = typeof given === 'number' ? undefined : json.section('size');
    const [height, width] = [size?.value('height', SIDE), size?.value('width', SIDE)];
    const shortest = plain ?? size?.value('shortest_edge', SIDE);
    if (shortest === undefined && height !== undefined && width !== undefined) return { height, width };
    return shortest ?? 224;
  },
};

/** What CLIP's processor does with pictures; defaults of transformers 5.24, CLIPImageProcessor. */
const SQUARE_PICTURES = defineConfig({
  fields: {
    resized,
    crop: squareSide('crop_size', ['height', 'width'], 224),
    ...pixelFields(CLIP_CHANNELS),
    crops: field('do_center_crop', only(true), true),
  },
});
type SquareConfig = ReturnType<(typeof SQUARE_PICTURES)['read']>;

/** What an encoder of squares reads of one; `tokensOf` says how many rows it gives for so many patches. */
export async function squareInput(
  picture: Picture,
  values: PixelValues,
  {
    patchSize,
    tokensOf,
    key,
    hasFirst = true,
  }: {
    readonly patchSize: number;
    /** Whether the encoder sees a row more, which is no patch. */
    readonly hasFirst?: boolean;
    readonly tokensOf: (patches: number) => number;
    readonly key: Int32Array;
  },
): Promise<EncoderInput> {
  const sizes = { patchSize, temporalPatchSize: 1, mergeSize: 1 };
  const { data, grid } = await beside('patchesOf', [picture], values, sizes);
  const [, rows, columns] = grid;
  const patches = rows * columns;
  const shape = hasFirst ? ([1, patches + 1, 1] as const) : grid;
  return { data, rows: patches, count: tokensOf(patches), shape, key };
}

/**
 * What processors do with pictures that they draw out to one square, with what a class does where the files say
 * nothing.
 */
export const wholePictures = (
  fallback: number,
  numbers: { readonly mean: readonly number[]; readonly std: readonly number[] },
) =>
  defineConfig({
    fields: {
      side: squareSide('size', ['height', 'width'], fallback),
      crops: field('do_center_crop', only(false), false),
      ...pixelFields(numbers),
    },
  });
type WholeConfig = ReturnType<ReturnType<typeof wholePictures>['read']>;

/** Defaults of transformers 5.24, SiglipImageProcessor. */
const SIGLIP_PICTURES = wholePictures(224, { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] });

/** What an encoder of whole pictures sees of each. */
interface WholeSizes {
  /** Pixels along a side that it has positions for. */
  readonly imageSize: number;
  readonly patchSize: number;
  /** Rows that it gives; as many as there are patches when absent. */
  readonly tokens?: number;
  /** Whether it sees a row more, which is no patch; false when absent. */
  readonly hasFirst?: boolean;
}

/** Whole pictures, drawn out to one square. */
export class WholeProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly config: WholeConfig,
    imageTokenId: number | undefined,
    private readonly sizes: WholeSizes,
  ) {
    this.placeholders = forPictures(imageTokenId);
  }

  /** @throws CONFIG_INVALID, REQUEST_INVALID for squares of another size than the encoder's */
  static async load(
    folder: ModelFolder,
    imageTokenId: number | undefined,
    sizes: WholeSizes,
    definition = SIGLIP_PICTURES,
    processor: 'image_processor' | 'video_processor' = 'image_processor',
  ): Promise<WholeProcessor> {
    const config = await readProcessorConfig(folder, definition, processor);
    requireSide('size', config.side, sizes.imageSize);
    return new WholeProcessor(config, imageTokenId, sizes);
  }

  /** @throws MEDIA_* */
  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { side } = this.config;
    const [file = new Uint8Array()] = media.files;
    const picture = await decodePicture(file, what);
    const square = await beside('resize', picture, { width: side, height: side }, 'bicubic');
    const { patchSize, tokens, hasFirst = false } = this.sizes;
    const tokensOf = (patches: number): number => tokens ?? patches;
    return [await squareInput(square, this.config, { patchSize, tokensOf, key: mediaKey(media), hasFirst })];
  }
}

/** The middle of each picture, in one size. */
export class SquareProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly config: SquareConfig,
    imageTokenId: number | undefined,
    private readonly sizes: { readonly patchSize: number; readonly keepsFirst: boolean },
  ) {
    this.placeholders = forPictures(imageTokenId);
  }

  /** `imageSize`: pixels along a side that the encoder has positions for. @throws CONFIG_INVALID */
  static async load(
    folder: ModelFolder,
    imageTokenId: number | undefined,
    sizes: { readonly patchSize: number; readonly imageSize: number; readonly keepsFirst: boolean },
    processor: 'image_processor' | 'video_processor' = 'image_processor',
  ): Promise<SquareProcessor> {
    const config = await readProcessorConfig(folder, SQUARE_PICTURES, processor);
    const { crop, resized: to } = config;
    const shorter = typeof to === 'number' ? to : Math.min(to.height, to.width);
    if (crop !== sizes.imageSize || shorter < crop)
      refuseRequest('crop_size', `${sizes.imageSize}, as image_size says, and at most size`, crop);
    return new SquareProcessor(config, imageTokenId, sizes);
  }

  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { resized: to, crop } = this.config;
    const { patchSize, keepsFirst } = this.sizes;
    const [file = new Uint8Array()] = media.files;
    const decoded = await decodePicture(file, what);
    const picture = await beside('middleSquare', decoded, to, crop, what);
    return [
      await squareInput(picture, this.config, {
        patchSize,
        tokensOf: (patches) => (keepsFirst ? patches + 1 : patches),
        key: mediaKey(media),
      }),
    ];
  }
}
