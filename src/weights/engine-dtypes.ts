import type { DType } from '../dtype.js';

/** The element types that the engine reads, by the names that the safetensors format gives them. */
export const ENGINE_DTYPE: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['BF16', 'bf16'],
  ['F16', 'f16'],
  ['F32', 'f32'],
  // Read as what the engine has that is nearest.
  ['F64', 'f32'],
  ['I8', 'i8'],
  ['U8', 'u8'],
  ['BOOL', 'u8'],
  ['I32', 'i32'],
  ['I64', 'i64'],
  ['F8_E4M3', 'e4m3'],
  ['F8_E8M0', 'e8m0'],
]);
