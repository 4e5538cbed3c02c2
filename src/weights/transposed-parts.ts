import type { WeightPart } from '../native/binding.js';

/** What a part of a matrix becomes in its transpose. */
export function transposedParts(part: WeightPart): WeightPart[] {
  if (part.file === undefined || !part.rowOrder) return [transposePart(part)];
  // Each row is a vector of numbers that lie a row of the tensor apart.
  const { rowOrder, ...rest } = part;
  const [rows = 0, columns = 0] = part.shape;
  return Array.from({ length: columns }, (_, column) => ({
    ...rest,
    shape: [rows * columns],
    rowOrder: rowOrder.map((row) => row * columns + column),
  }));
}

function transposePart(part: WeightPart): WeightPart {
  if (part.file === undefined) return { ...part, shape: part.shape.toReversed() };
  const { transposed: wasTransposed, ...rest } = part;
  return wasTransposed === true ? rest : { ...rest, transposed: true };
}
