import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { AtbError } from '../../errors.js';
import type { Picture } from './picture.js';
import { formatOf, PICTURE_FORMATS } from './signature.js';

/** What a picture may be at most, whatever its file says. */
export interface PictureLimits {
  /** Of the file. */
  readonly maxBytes: number;
  /** Width times height. */
  readonly maxPixels: number;
}

/** A file of 64 MiB; 8192 x 8192 pixels, which are 192 MiB once they are decoded. */
export const PICTURE_LIMITS: PictureLimits = { maxBytes: 2 ** 26, maxPixels: 2 ** 26 };

/** What sharp's module is, as far as it is used here. */
type OpenPicture = (bytes: Uint8Array, options: SharpOptions) => Sharp;

/** Depths of a channel that a picture of 8 bits has: libvips widens those of fewer bits. */
const EIGHT_BITS = 'uchar';
/** What becomes RGB without a loss: three channels, or one that is repeated. */
const COLOURS = ['srgb', 'rgb', 'b-w'];

/**
 * The pixels of a JPEG, PNG, WebP, GIF or TIFF file: turned upright as its EXIF orientation says, alpha left out and not
 * blended, colour profiles ignored. That is what Pillow and transformers 5.24 (`image_utils.load_image`) make of it, byte
 * for byte. `what` names the picture in messages.
 * @throws MEDIA_DECODER_MISSING without the package `sharp`; MEDIA_TOO_LARGE before anything is decoded; MEDIA_UNSUPPORTED for other
 * formats, several frames, CMYK and channels of more than 8 bits; MEDIA_INVALID for a broken file
 */
export async function decodePicture(
  bytes: Uint8Array,
  what: string,
  { maxBytes, maxPixels }: PictureLimits = PICTURE_LIMITS,
): Promise<Picture> {
  if (bytes.length > maxBytes)
    throw new AtbError('MEDIA_TOO_LARGE', {
      what,
      expected: `at most ${maxBytes} bytes`,
      found: `${bytes.length}`,
    });
  const format = formatOf(bytes);
  if (format === undefined)
    throw new AtbError('MEDIA_UNSUPPORTED', {
      what,
      expected: `a file of ${PICTURE_FORMATS.join(', ')}`,
      found: bytes.length === 0 ? 'no bytes' : 'bytes of another format',
    });
  const open = await loadSharp();
  // libvips counts pixels before it turns them, and its own limit stands behind ours.
  const options: SharpOptions = { limitInputPixels: maxPixels, failOn: 'error', ignoreIcc: true };
  const metadata = await reading(what, () => open(bytes, { ...options, limitInputPixels: false }).metadata());
  refuseOdd(metadata, what);
  const { width, height } = metadata;
  if (width * height > maxPixels)
    throw new AtbError('MEDIA_TOO_LARGE', {
      what,
      expected: `at most ${maxPixels} pixels`,
      found: `${width} x ${height}`,
    });
  const { data, info } = await reading(what, () =>
    open(bytes, options)
      .autoOrient()
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true }),
  );
  return { width: info.width, height: info.height, data };
}

function refuseOdd({ pages = 1, depth, space }: Metadata, what: string): void {
  const refuse = (expected: string, found: string): never => {
    throw new AtbError('MEDIA_UNSUPPORTED', { what, expected, found });
  };
  if (pages > 1) refuse('one frame', `${pages} of them; save the wanted one as a picture of its own`);
  if (depth !== EIGHT_BITS)
    refuse('8 bits a channel', `channels of type ${depth}; convert it to 8 bits first`);
  if (!COLOURS.includes(space)) refuse('RGB or grey', `the colour space ${space}; convert it to RGB first`);
}

/** libvips' failures as ours: whatever a file holds, it is the file that is at fault. */
async function reading<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new AtbError('MEDIA_INVALID', { what, reason }, { cause });
  }
}

let sharp: Promise<OpenPicture> | undefined;

/** The optional package. What is not installed now may be later. */
function loadSharp(): Promise<OpenPicture> {
  sharp ??= import('sharp').then(
    ({ default: open }) => open as OpenPicture,
    (cause: unknown) => {
      sharp = undefined;
      throw new AtbError('MEDIA_DECODER_MISSING', { package: 'sharp', media: 'pictures' }, { cause });
    },
  );
  return sharp;
}
