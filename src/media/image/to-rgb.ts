/** Cyan, magenta, yellow and black as red, green and blue, as Pillow has it: black takes away from each what the ink leaves. */
export function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = 255 - (cmyk[from + 3] as number);
    for (let ink = 0; ink < 3; ink++) {
      const product = (cmyk[from + ink] as number) * light + 128;
      rgb[to++] = light - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}

/** The upper halves of channels of 16 bits, in this machine's order of bytes. */
export function upperBytes(pixels: Uint8Array): Uint8Array {
  const values = new Uint16Array(pixels.buffer, pixels.byteOffset, pixels.byteLength / 2);
  const upper = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) upper[i] = (values[i] as number) >> 8;
  return upper;
}
