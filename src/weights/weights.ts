import { DTYPE_BYTES, type DType, elementCount, type FloatDType } from '../dtype.js';
import { AtbError } from '../errors.js';
import { type ArgumentKind, OBJECT, requireArgument, TEXT, wholes } from '../require-argument.js';
import type { Adapter } from './adapter.js';
import { partShape, storedBytes } from './part-rows.js';
import type { LinearQuant, LinearRole, QuantizationPlan } from './quantization.js';
import { type NamedTensors, type TensorRef, WEIGHT_LIST } from './tensor-ref.js';

export type { QuantizedPart, QuantizedWeight, TensorRef } from './tensor-ref.js';

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
  /** What the user can do about a missing name. */
  remedy?(name: string): string | undefined;
  /** LoRA adapters beside the weights; none when absent. */
  readonly adapters?: readonly Adapter[] | undefined;
  /** How the files hold the linear of this full name; undefined for floats. */
  quantOf?(linear: string, role: LinearRole): LinearQuant | undefined;
}

/** The numbers that a model runs in, where these are not the ones in the files. */
export interface RunNumbers {
  /** The dtype of activations and of the weights that stay floats. */
  readonly dtype?: FloatDType | undefined;
  /** What becomes of linears whose weights are floats in the files. */
  readonly quantization?: QuantizationPlan | undefined;
}

const SOURCE: ArgumentKind = {
  expected: 'a source of weights, as Checkpoint.open gives one',
  holds: (value) => OBJECT.holds(value) && typeof (value as WeightSource).find === 'function',
};
const SHAPE = wholes(0);

/** A read-only cursor over a source of weights under one name prefix. */
export class Weights implements NamedTensors {
  constructor(
    private readonly source: WeightSource,
    private readonly prefix = '',
    private readonly numbers: RunNumbers = {},
  ) {
    requireArgument('new Weights', 'the source', SOURCE, source);
    requireArgument('new Weights', 'the prefix', TEXT, prefix);
  }

  /** The dtype of activations; undefined until it is decided. */
  get dtype(): FloatDType | undefined {
    return this.numbers.dtype;
  }

  /** LoRA adapters beside the weights, whose tensors `adapterTensor` names. */
  get adapters(): readonly Adapter[] {
    return this.source.adapters ?? [];
  }

  /** The cursor one level down: `weights.at('layers').at(3)` sees `layers.3.…`. */
  at(name: string | number): Weights {
    return new Weights(this.source, this.path(String(name)), this.numbers);
  }

  /** The same cursor on another source, which is made of this one's. */
  mapped(change: (source: WeightSource) => WeightSource): Weights {
    return new Weights(change(this.source), this.prefix, this.numbers);
  }

  /** The same cursor, some of whose tensors have other names in the files: `proj.weight` may be `proj`. */
  withNames(names: Readonly<Record<string, string>>): Weights {
    const stored = new Map(Object.entries(names).map(([name, file]) => [this.path(name), this.path(file)]));
    return this.mapped((source) => renamed(source, stored));
  }

  /** The full name of something inside this cursor, or of the cursor itself. */
  path(name = ''): string {
    if (this.prefix === '') return name;
    return name === '' ? this.prefix : `${this.prefix}.${name}`;
  }

  /** The last part of the cursor's own name: `input_layernorm`. */
  get name(): string {
    return this.prefix.slice(this.prefix.lastIndexOf('.') + 1);
  }

  /** Whether the checkpoint has this tensor. Always false for a declared source: there the configuration decides. */
  has(name: string): boolean {
    return this.source.has(this.path(name));
  }

  /** Throws WEIGHT_QUANT_METHOD where the files hold the linear of this name as integers. */
  requireFloats(name: string): void {
    const full = this.path(name);
    const stored = this.source.quantOf?.(full, 'projection');
    if (stored === undefined) return;
    const method = `${stored.desc} where floats are needed`;
    throw new AtbError('WEIGHT_QUANT_METHOD', { name: full, where: this.source.label, method });
  }

  /** How the linear of this name is made of integers; undefined for floats. */
  quantOf(name: string, role: LinearRole): LinearQuant | undefined {
    const full = this.path(name);
    return this.source.quantOf?.(full, role) ?? this.numbers.quantization?.(full, role);
  }

  /** The named tensor. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH or WEIGHT_DTYPE_UNSUPPORTED. */
  get(name: string, shape: readonly number[]): TensorRef {
    requireArgument('Weights.get', 'the name', TEXT, name);
    requireArgument('Weights.get', 'the shape', SHAPE, shape);
    const full = this.path(name);
    const found = this.source.find(full, shape);
    if (found === undefined) {
      throw new AtbError('WEIGHT_NOT_FOUND', {
        name: full,
        expected: shape,
        where: this.source.label,
        nearest: this.source.nearest?.(full),
        remedy: this.source.remedy?.(full),
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
export function declaredWeights(dtype: FloatDType, quantization?: QuantizationPlan): Weights {
  const source: WeightSource = {
    label: 'config.json',
    has: () => false,
    find: (name, shape) => ({ name, dtype, shape: [...shape], parts: [] }),
  };
  return new Weights(source, '', { dtype, quantization });
}

/** The same weights, some of which are found under other names: those of a list, or those that a function tells of theirs. */
export function renamed(
  source: WeightSource,
  names: ReadonlyMap<string, string> | ((name: string) => string),
): WeightSource {
  const other = typeof names === 'function' ? names : (name: string): string => names.get(name) ?? name;
  return {
    label: source.label,
    adapters: source.adapters,
    has: (name) => source.has(other(name)),
    find(name, expected) {
      const found = source.find(other(name), expected);
      return found && { ...found, name };
    },
    nearest: (name) => source.nearest?.(other(name)),
    remedy: (name) => source.remedy?.(other(name)),
    quantOf: (linear, role) => source.quantOf?.(other(`${linear}.weight`).replace(/\.weight$/, ''), role),
  };
}

/**
 * One tensor made of several, concatenated along axis 0: [r0, c] and [r1, c] give [r0 + r1, c]. Throws
 * WEIGHT_SHAPE_MISMATCH when the other axes differ.
 */
export function concatRows(name: string, refs: readonly [TensorRef, ...TensorRef[]]): TensorRef {
  requireArgument('concatRows', 'the name', TEXT, name);
  requireArgument('concatRows', 'the weights', WEIGHT_LIST, refs);
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
  // Of rows that are declared or constant, the files decide.
  const { dtype } = refs.find(({ parts }) => parts.some((part) => part.file !== undefined)) ?? first;
  const isDeclared = refs.some((ref) => ref.parts.length === 0);
  const parts = isDeclared ? [] : refs.flatMap((ref) => ref.parts);
  return { name, dtype, shape: [rows, ...inner], parts };
}

/** The same weight, if the files hold its numbers as `supported` says. Throws WEIGHT_DTYPE_UNSUPPORTED. */
export function requireStoredAs(ref: TensorRef, supported: readonly DType[]): TensorRef {
  const other = ref.parts.find(({ dtype }) => !supported.includes(dtype));
  if (other === undefined) return ref;
  const { file = 'the checkpoint', dtype } = other;
  throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', { name: ref.name, file, found: dtype, supported });
}

/** What a weight is to ATB as a graph's input, when the model runs in `dtype`. */
export function weightDesc(
  { dtype, shape, quantized, isIntegerBias, keptIn, values }: TensorRef,
  run: FloatDType,
): { readonly dtype: DType; readonly shape: readonly number[] } {
  if (values) return { dtype, shape };
  if (isIntegerBias && run === 'bf16') return { dtype: 'f32', shape };
  if (quantized === undefined) return { dtype: keptIn ?? run, shape };
  switch (quantized.role) {
    case 'weight':
    case 'sum-bias':
      return { dtype, shape };
    case 'input-offset':
      return { dtype: 'i8', shape };
    case 'offset':
      return { dtype: run, shape };
    case 'scale':
      if (quantized.activations === 'float') return { dtype: run, shape };
      // Scales of products of integers have one axis to ATB. Where these give f16, it wants the bits of f32 in an i64.
      return { dtype: quantized.isStatic && run === 'f16' ? 'i64' : dtype, shape: shape.slice(0, -1) };
  }
}

/** Bytes of a weight's elements in the dtypes of the checkpoint; of a declared one, as they would be. */
export function weightBytes(ref: TensorRef): number {
  if (ref.parts.length === 0) return elementCount(ref.shape) * DTYPE_BYTES[ref.dtype];
  return ref.parts.reduce((sum, part) => {
    const { words, blocks } = part.file === undefined ? {} : part;
    // Scales and minimums lie in the blocks of their integers.
    if (blocks?.content === 'scales' || blocks?.content === 'minimums') return sum;
    const bits = words?.bits ?? 8 * (blocks && part.file ? storedBytes(part) : DTYPE_BYTES[part.dtype]);
    return sum + (elementCount(partShape(part)) * bits) / 8;
  }, 0);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}
