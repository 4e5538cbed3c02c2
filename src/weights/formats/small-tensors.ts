import type { FormatSource } from './format.js';

/** The linears of a checkpoint that have a tensor of this suffix, by their names in the files. */
export function linearsWith({ tensors }: FormatSource, suffix: string): string[] {
  const end = `.${suffix}`;
  return [...(tensors?.keys() ?? [])]
    .filter((name) => name.endsWith(end))
    .map((name) => name.slice(0, -end.length));
}

/** The words of 32 bits that so many integers take. */
export const wordsOf = (count: number, bits: number): number => Math.ceil((count * bits) / 32);

/** Whether a tensor of floats or integers holds zeros alone. */
export async function isZero(source: FormatSource, name: string): Promise<boolean> {
  const { data } = await source.read(name);
  const values: Iterable<number | bigint> = data;
  // -0 in 16-bit floats has this bit.
  for (const value of values) if (Number(value) !== 0 && value !== 0x8000) return false;
  return true;
}

/**
 * Biases of linears that are zeros: tools write them whether or not the model has them, and where it has none they say
 * nothing. Full names.
 */
export async function zeroBiases(source: FormatSource, linears: readonly string[]): Promise<Set<string>> {
  const zeros = new Set<string>();
  for (const linear of linears) {
    const name = `${linear}.bias`;
    if (source.tensors?.has(name) && (await isZero(source, name))) zeros.add(name);
  }
  return zeros;
}
