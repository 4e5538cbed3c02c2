/** Formats that are read, by the names that sharp has for them. */
export const PICTURE_FORMATS = ['jpeg', 'png', 'webp', 'gif', 'tiff'] as const;
export type PictureFormat = (typeof PICTURE_FORMATS)[number];

/** How files of each format begin. */
const SIGNATURES: Readonly<Record<PictureFormat, readonly string[]>> = {
  jpeg: ['\xff\xd8\xff'],
  png: ['\x89PNG\r\n\x1a\n'],
  webp: ['RIFF'],
  gif: ['GIF87a', 'GIF89a'],
  tiff: ['II*\0', 'MM\0*'],
};

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
