import { AtbError } from '../errors.js';

type Named = Readonly<Record<string, string | undefined>>;

/** The names that any member of a union has. */
type NameIn<T> = T extends unknown ? keyof T & string : never;

/** The tensor of this name, which the param asks for. Throws BUILDER_TENSOR_MISSING. */
export function tensorOf<T extends Named>(
  { category, opName }: { readonly category: string; readonly opName: string },
  tensors: T,
  name: NameIn<T>,
): string {
  const tensor = tensors[name];
  if (tensor !== undefined) return tensor;
  throw new AtbError('BUILDER_TENSOR_MISSING', { category, opName, tensor: name });
}
