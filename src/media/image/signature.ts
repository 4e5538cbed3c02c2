/** Formats that are read, by the names that sharp has for them. */
export const PICTURE_FORMATS = ['jpeg', 'png', 'webp', 'gif', 'tiff'] as const;
export type PictureFormat = (typeof PICTURE_FORMATS)[number];

/** How files of each format begin. */
const SIGNATURES: Readonly<Record<PictureFormat, readonly string[]>> = {
  jpeg: ['\xff\xd8\xff'],
  png: ['\x89PNG\r\n\x1a\n'],
  webp: ['RIFF'],
  gif: ['GIF87a', 'GIF89a'],
  tiff: ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'],
};

/** What people send instead, by how it begins. */
const OTHERS: readonly (readonly [name: string, begin: RegExp])[] = [
  ['HEIC', /^.{4}ftyp(?:hei|hev|mif)/s],
  ['AVIF', /^.{4}ftypavi/s],
  ['a video', /^(?:.{4}ftyp|RIFF.{4}AVI |.*(?:webm|matroska))/s],
  ['BMP', /^BM/],
  ['PDF', /^%PDF/],
  ['SVG', /^\s*(?:<\?xml|<svg)/i],
  ['a page of HTML', /^\s*<(?:!doctype|html)/i],
  ['sound', /^(?:ID3|RIFF.{4}WAVE|fLaC|OggS)/s],
];

/** What the bytes of another format seem to be, for a message. */
export function otherFormatOf(bytes: Uint8Array): string {
  const start = Buffer.from(bytes.subarray(0, 48)).toString('latin1');
  return OTHERS.find(([, begin]) => begin.test(start))?.[0] ?? 'bytes of another format';
}

/**
 * The format of a file by its first bytes. Undefined for any other: no decoder ever sees those, so that formats which may
 * name other files, as SVG does, are none of its business.
 */
export function formatOf(bytes: Uint8Array): PictureFormat | undefined {
  const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  const found = PICTURE_FORMATS.find((format) => SIGNATURES[format].some((begin) => start.startsWith(begin)));
  // A RIFF file may be many things: sound, too.
  return found === 'webp' && !start.endsWith('WEBP') ? undefined : found;
}
