/** The sounds of tools/oracle/make_media_fixtures.py: a tone that rises and falls, with noise on it, in integers alone. */
export function soundSamples(samples: number, seed: number): Int16Array {
  return Int16Array.from({ length: samples }, (_, n) => {
    const phase = (n * (300 + 37 * seed) + Math.floor(n / 50) * (n % 977)) % 4096;
    const tone = Math.abs(phase - 2048) * 10 - 10_240;
    return tone + (Math.imul(n + seed, 2654435761) >>> 20) - 2048;
  });
}

/** A WAV file; the samples of several channels lie side by side. */
export function wavOf(
  samples: Int16Array | Uint8Array | Int32Array | Float32Array | Float64Array,
  rate: number,
  channels = 1,
): Buffer {
  const bytes = samples.BYTES_PER_ELEMENT;
  const isFloat = samples instanceof Float32Array || samples instanceof Float64Array;
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(isFloat ? 3 : 1, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * channels * bytes, 28);
  header.writeUInt16LE(channels * bytes, 32);
  header.writeUInt16LE(8 * bytes, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]);
}
