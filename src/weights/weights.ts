import { DTYPE_BYTES, type DType, elementCount } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { WeightPart } from '../native/binding.js';

/** A weight of the model. Its bytes stay in the files until the engine reads them. */
export interface TensorRef {
  readonly name: string;
  /** The element type in the checkpoint; that of the first part where parts differ. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Row ranges concatenated along axis 0: several for packed q/k/v or gate/up, none for a declared weight. */
  readonly parts: readonly WeightPart[];
}

/** Where a `Weights` cursor looks names up: an opened checkpoint, or a declaration made from the configuration. */
export interface WeightSource {
  /** What the names belong to, for messages: a model directory, `config.json`. */
  readonly label: string;
  has(name: string): boolean;
  /**
   * The tensor under a full name; undefined when there is none. `expected` is the shape that the caller will check.
   * Throws WEIGHT_DTYPE_UNSUPPORTED for an element type that the engine cannot read.
   */
  find(name: string, expected: readonly number[]): TensorRef | undefined;
  /** An existing name that resembles a missing one. */
  nearest?(name: string): string | undefined;
}

/** A read-only window on a source of weights under one name prefix. */
export class Weights {
  constructor(
    private readonly source: WeightSource,
    private readonly prefix = '',
  ) {}

  /** The window one level down: `weights.at('layers').at(3)` sees `layers.3.…`. */
  at(name: string | number): Weights {
    return new Weights(this.source, this.path(String(name)));
  }

  /** The full name of something inside this window, or of the window itself. */
  path(name = ''): string {
    if (this.prefix === '') return name;
    return name === '' ? this.prefix : `${this.prefix}.${name}`;
  }

  /** Whether the checkpoint has this tensor. Always false for a declared source: there the configuration decides. */
  has(name: string): boolean {
    return this.source.has(this.path(name));
  }

  /** The named tensor. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH or WEIGHT_DTYPE_UNSUPPORTED. */
  get(name: string, shape: readonly number[]): TensorRef {
    const full = this.path(name);
    const found = this.source.find(full, shape);
    if (found === undefined) {
      const nearest = this.source.nearest?.(full);
      throw new AtbError('WEIGHT_NOT_FOUND', {
        name: full,
        expected: shape,
        where: this.source.label,
        nearest,
      });
    }
    if (!sameShape(found.shape, shape)) {
      throw new AtbError('WEIGHT_SHAPE_MISMATCH', { name: full, expected: shape, found: found.shape });
    }
    return found;
  }

  /** The named tensor, or undefined when the source has none; its shape is checked as in `get`. */
  getOptional(name: string, shape: readonly number[]): TensorRef | undefined {
    return this.has(name) ? this.get(name, shape) : undefined;
  }
}

/**
 * Weights as the configuration declares them, with no file behind: every `get(name, shape)` succeeds with `dtype`, and
 * nothing optional exists. Enough to build and print a model's graphs.
 */
export function declaredWeights(dtype: DType): Weights {
  return new Weights({
    label: 'config.json',
    has: () => false,
    find: (name, shape) => ({ name, dtype, shape: [...shape], parts: [] }),
  });
}

/**
 * One tensor made of several, concatenated along axis 0: [r0, c] and [r1, c] give [r0 + r1, c]. Throws
 * WEIGHT_SHAPE_MISMATCH when the other axes differ.
 */
export function concatRows(name: string, refs: readonly [TensorRef, ...TensorRef[]]): TensorRef {
  const [first] = refs;
  const inner = first.shape.slice(1);
  let rows = 0;
  for (const ref of refs) {
    const expected = [ref.shape[0] ?? 1, ...inner];
    if (!sameShape(ref.shape, expected)) {
      throw new AtbError('WEIGHT_SHAPE_MISMATCH', { name: ref.name, expected, found: ref.shape });
    }
    rows += expected[0] ?? 0;
  }
  return { name, dtype: first.dtype, shape: [rows, ...inner], parts: refs.flatMap((ref) => ref.parts) };
}

/** Bytes of a weight as it lies in the checkpoint; of a declared one, as it would. */
export function weightBytes(ref: TensorRef): number {
  if (ref.parts.length === 0) return elementCount(ref.shape) * DTYPE_BYTES[ref.dtype];
  return ref.parts.reduce((sum, part) => sum + elementCount(part.shape) * DTYPE_BYTES[part.dtype], 0);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}
