import { refuseRequest } from '../../../errors.js';
import {
  type Check,
  defineConfig,
  type Field,
  field,
  integer,
  only,
  positive,
} from '../../../layers/config/index.js';
import {
  decodePicture,
  type MediaFiles,
  type MediaPiece,
  type MediaProcessor,
  mediaKey,
  middleSquare,
  patchesOf,
} from '../../../media/index.js';
import { CLIP_CHANNELS, channels, type ModelFolder, readPictureConfig } from './picture-config.js';

const SIDE = integer(1, 4096);

/** A side of a square: a number, or an object that has it under one of the names. */
const side = (
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

/** What CLIP's processor does with pictures; defaults of transformers 5.24, CLIPImageProcessor. */
const SQUARE_PICTURES = defineConfig({
  fields: {
    shortest: side('size', ['shortest_edge'], 224),
    crop: side('crop_size', ['height', 'width'], 224),
    mean: channels('image_mean', CLIP_CHANNELS.mean),
    std: channels('image_std', CLIP_CHANNELS.std),
    rescale: field('rescale_factor', positive(1), 1 / 255),
    resample: field('resample', only(3), 3),
    resizes: field('do_resize', only(true), true),
    crops: field('do_center_crop', only(true), true),
    rescales: field('do_rescale', only(true), true),
    normalizes: field('do_normalize', only(true), true),
  },
});
type SquareConfig = ReturnType<(typeof SQUARE_PICTURES)['read']>;

/** The middle of each picture, in one size. */
export class SquareProcessor implements MediaProcessor {
  readonly placeholders: MediaProcessor['placeholders'];

  constructor(
    private readonly config: SquareConfig,
    imageTokenId: number | undefined,
    private readonly sizes: { readonly patchSize: number; readonly keepsFirst: boolean },
  ) {
    this.placeholders = imageTokenId === undefined ? {} : { image: imageTokenId };
  }

  /** `imageSize`: pixels along a side that the encoder has positions for. @throws CONFIG_INVALID */
  static async load(
    folder: ModelFolder,
    imageTokenId: number | undefined,
    sizes: { readonly patchSize: number; readonly imageSize: number; readonly keepsFirst: boolean },
  ): Promise<SquareProcessor> {
    const config = await readPictureConfig(folder, SQUARE_PICTURES);
    const { crop, shortest } = config;
    if (crop !== sizes.imageSize || shortest < crop)
      refuseRequest('crop_size', `${sizes.imageSize}, as image_size says, and at most size`, crop);
    return new SquareProcessor(config, imageTokenId, sizes);
  }

  async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const { shortest, crop } = this.config;
    const { patchSize, keepsFirst } = this.sizes;
    const [file = new Uint8Array()] = media.files;
    const picture = middleSquare(await decodePicture(file, what), shortest, crop, what);
    const { data, grid } = patchesOf([picture], this.config, {
      patchSize,
      temporalPatchSize: 1,
      mergeSize: 1,
    });
    const [, rows, columns] = grid;
    const count = rows * columns;
    const tokens = keepsFirst ? count + 1 : count;
    // The encoder sees a row more.
    return [{ data, rows: count, count: tokens, shape: [1, count + 1, 1], key: mediaKey(media) }];
  }
}
