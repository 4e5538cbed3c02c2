import { AtbError } from '../errors.js';
import type { TensorRef } from './weights.js';

/** What a weight is made of, as a key: two weights of one key have the same elements. Undefined for a declared weight. */
export function contentKey({ parts, shape, values }: TensorRef): string | undefined {
  if (values) return `[${values.data}]`;
  if (parts.length === 0) return undefined;
  const keys = parts.map((part) => {
    if (part.file === undefined) return `${part.value} [${part.shape}]`;
    const { file, offset, dtype, shape, transposed = false, rowOrder = '', times = 1, plus = 0 } = part;
    const { unitRows = false, words, rowFactors, blocks } = part;
    const held = words || rowFactors || blocks ? JSON.stringify([words, rowFactors, blocks]) : '';
    const { columnOrder = '', unpaired = false } = part;
    const changes = [transposed, unpaired, unitRows, times, plus, `[${rowOrder}]`, `[${columnOrder}]`];
    return [offset, dtype, `[${shape}]`, held, ...changes, file].join(' ');
  });
  return `[${shape}] ${keys.join('\n')}`;
}

/**
 * Every weight once, the first of each name. Throws WEIGHT_NAME_TWICE when one name stands for different weights, of which
 * the engine would hold one only.
 */
export function uniqueWeights(weights: readonly TensorRef[]): TensorRef[] {
  const unique = new Map<string, TensorRef>();
  for (const weight of weights) {
    const { name, quantized } = weight;
    const first = unique.get(name) ?? weight;
    const isSame =
      first === weight ||
      (contentKey(first) === contentKey(weight) && first.quantized?.role === quantized?.role);
    if (!isSame) throw new AtbError('WEIGHT_NAME_TWICE', { name });
    unique.set(name, first);
  }
  return [...unique.values()];
}
