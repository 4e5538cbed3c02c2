import type { Cut } from './cut.js';
import type { Picture } from './picture.js';

/** Where parts of a GIF file begin, by its specification (GIF89a, sections 17 to 23). */
const HEADER = 6;
const SCREEN = 7;
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const GRAPHIC_CONTROL = 0xf9;
/** Of a graphic control's flags: a colour of the palette is transparent. */
const TRANSPARENT = 1;

/** Bytes of a table of colours; 0 where the flags say that there is none. */
const tableSize = (flags: number): number => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);

/** A GIF file's first image, as Pillow has it. */
export interface GifImage {
  /** The file without transparent colours: the palette has a colour there, in whose place decoders leave black. */
  readonly opaque: Uint8Array;
  /** The part of the screen that the image covers, and the colour of the rest. */
  readonly cover: Cut;
  readonly ground: readonly [red: number, green: number, blue: number];
}

/** Undefined for a file that has no image. */
export function gifImage(bytes: Uint8Array): GifImage | undefined {
  const opaque = Buffer.from(bytes);
  let ground = 0;
  let at = HEADER + SCREEN + tableSize(opaque[HEADER + 4] ?? 0);
  while (opaque[at] === EXTENSION) {
    const flags = opaque[at + 3] ?? 0;
    if (opaque[at + 1] === GRAPHIC_CONTROL && flags & TRANSPARENT) {
      opaque[at + 3] = flags & ~TRANSPARENT;
      ground = opaque[at + 6] ?? 0;
    }
    // Its blocks follow one another, each behind its length, up to one without any.
    for (at += 2; opaque[at]; ) at += 1 + (opaque[at] as number);
    at++;
  }
  if (opaque[at] !== IMAGE || at + 10 > opaque.length) return undefined;
  const [left = 0, top = 0, width = 0, height = 0] = [1, 3, 5, 7].map((part) =>
    opaque.readUInt16LE(at + part),
  );
  const palette = tableSize(opaque[at + 9] ?? 0) > 0 ? at + 10 : HEADER + SCREEN;
  const colour = (channel: number): number => opaque[palette + 3 * ground + channel] ?? 0;
  return { opaque, cover: { left, top, width, height }, ground: [colour(0), colour(1), colour(2)] };
}

/** Gives a decoded screen its colour where the image does not cover it. */
export function paintGround({ width, height, data }: Picture, { cover, ground }: GifImage): void {
  const isCovered = (x: number, y: number): boolean =>
    x >= cover.left && x < cover.left + cover.width && y >= cover.top && y < cover.top + cover.height;
  if (isCovered(0, 0) && isCovered(width - 1, height - 1)) return;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) if (!isCovered(x, y)) data.set(ground, 3 * (y * width + x));
}
