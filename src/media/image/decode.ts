import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { AtbError } from '../../errors.js';
import { beside } from '../beside.js';
import { gifImage, paintGround } from './gif.js';
import type { Picture } from './picture.js';
import { formatOf, otherFormatOf, PICTURE_FORMATS } from './signature.js';

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

/** Depths of a channel: libvips widens those of fewer than 8 bits. */
const [EIGHT_BITS, SIXTEEN_BITS] = ['uchar', 'ushort'];
/** What becomes RGB: three channels, one that is repeated, or the four of print. */
const COLOURS = ['srgb', 'rgb', 'b-w', 'cmyk'];

/**
 * The pixels of a JPEG, PNG, WebP, GIF or TIFF file: turned upright as its EXIF orientation says, alpha left out and not
 * blended, colour profiles ignored, of 16 bits the upper 8. That is what Pillow and transformers 5.24
 * (`image_utils.load_image`) make of it, byte for byte. `what` names the picture in messages.
 * @throws MEDIA_DECODER_MISSING without the package `sharp`; MEDIA_TOO_LARGE before anything is decoded; MEDIA_UNSUPPORTED for other
 * formats, several frames, and grey of 16 bits, whose values above 255 are all white
 * in Pillow; MEDIA_INVALID for a broken file
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
      found: bytes.length === 0 ? 'no bytes' : otherFormatOf(bytes),
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
  const gif = format === 'gif' ? gifImage(bytes) : undefined;
  const { data, info } = await reading(what, () =>
    rawOf(open(gif?.opaque ?? bytes, options).autoOrient(), metadata).toBuffer({ resolveWithObject: true }),
  );
  const picture = { width: info.width, height: info.height, data: await rgbOf(data, metadata) };
  if (gif) paintGround(picture, gif);
  return picture;
}

/** Pixels as they are, without alpha and profiles. */
function rawOf(picture: Sharp, { depth, space }: Metadata): Sharp {
  if (space === 'cmyk') return picture.pipelineColourspace('cmyk').toColourspace('cmyk').raw();
  return depth === SIXTEEN_BITS
    ? picture.removeAlpha().toColourspace('rgb16').raw({ depth: SIXTEEN_BITS })
    : picture.removeAlpha().toColourspace('srgb').raw();
}

async function rgbOf(pixels: Uint8Array, { depth, space }: Metadata): Promise<Uint8Array> {
  if (space === 'cmyk') return await beside('cmykToRgb', pixels);
  return depth === SIXTEEN_BITS ? await beside('upperBytes', pixels) : pixels;
}

function refuseOdd({ pages = 1, depth, space }: Metadata, what: string): void {
  const refuse = (expected: string, found: string): never => {
    throw new AtbError('MEDIA_UNSUPPORTED', { what, expected, found });
  };
  if (pages > 1) refuse('one frame', `${pages} of them; save the wanted one as a picture of its own`);
  if (depth === SIXTEEN_BITS && space === 'rgb16') return;
  if (depth !== EIGHT_BITS)
    refuse('8 bits a channel', `channels of type ${depth}, ${space}; convert it to 8 bits first`);
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
