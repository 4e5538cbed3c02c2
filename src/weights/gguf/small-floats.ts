import { dirname } from 'node:path';
import { AtbError } from '../../errors.js';
import { readExactly, readRegularFile } from '../regular-file.js';
import type { StoredTensor } from '../safetensors-file.js';

const MAX_FLOATS = 4096;

/** A short list of f32, which is read while a file is opened. Throws WEIGHT_FILE_*. */
export async function readSmallFloats(
  { dtype, bytes, offset, file }: StoredTensor & { readonly file: string },
  path: string,
): Promise<Float32Array> {
  if (dtype !== 'F32' || bytes > 4 * MAX_FLOATS)
    throw new AtbError('WEIGHT_FILE_GGUF', {
      file: path,
      problem: `factors of rotary frequencies must be at most ${MAX_FLOATS} F32, found ${dtype} of ${bytes} bytes`,
    });
  const read = Buffer.alloc(bytes);
  await readRegularFile(file, dirname(file), (handle, stamp) =>
    readExactly(handle, stamp, read, 0, bytes, offset),
  );
  return Float32Array.from({ length: bytes / 4 }, (_, i) => read.readFloatLE(4 * i));
}
