import type { KeyType } from '../atb-rules/key-types.js';
import type { Inputs, TensorDesc } from './inputs.js';

/** How many tensors an operation reads and writes, in ATB's order. */
export interface Arity {
  readonly inputs: number;
  readonly outputs: number;
}

/** How the engine packs a matrix: by rows, or with rows of gate and up in turn. */
export type MatrixLayout = 'linear' | 'linear-interleaved';

/** The input of a product that is its matrix. */
export interface PackedMatrix {
  readonly input: number;
  readonly layout: MatrixLayout;
}

/** The keys that any form of a param has. */
type KeyOf<P> = P extends unknown ? keyof P & string : never;

/** A key without which a param says nothing. */
export interface ParamLack {
  readonly key: string;
  /** "an object" */
  readonly expected: string;
  /** A value that says nothing either; the key is absent without it. */
  readonly found?: string;
}

/** A key that must be there. */
export const lacking = (param: object, key: string, expected: string): ParamLack[] =>
  key in param ? [] : [{ key, expected }];

/** Lists that must be there. ATB's parser has empty ones for them, which no operation takes. */
export const lackingLists =
  (...keys: readonly string[]) =>
  (param: object): ParamLack[] =>
    keys.flatMap((key) => lacking(param, key, 'a list of integers'));

/** What ATB itself asks of an operation, beyond param keys, which are generated (`atb-rules/op-keys.ts`). */
export interface AtbRules<P> {
  /** Section of atb_ops_info.ini that lists the dtypes; `<type>Operation` when absent. */
  section?(param: P): string;
  /** How many of the last inputs are our extension's. */
  extensionInputs?(param: P): number;
  /** Inputs whose values ATB reads on the host, too, as it lays out the work by them. */
  hostInputs?(param: P): readonly number[];
  /** What ATB would refuse beyond keys, counts and dtypes, each as a clause: "axes must be consecutive, found [0,2]". */
  problems?(param: P, inputs: readonly TensorDesc[]): readonly string[];
  /** The same of what the engine takes all the same. */
  extensions?(param: P, inputs: readonly TensorDesc[]): readonly string[];
}

/**
 * All that the graph knows of one operation. Param keys and enum strings are those that ATB's `BaseOperation(type, json)`
 * reads, so `JSON.stringify(param)` is the wire format; a key that is absent takes ATB's default. How the operation
 * computes is native (`native/src/ops/`).
 */
export interface OpDefinition<T extends string = string, P extends object = object> {
  readonly type: T;
  /** Param keys that ATB does not have; of an operation that ATB does not have, all its keys. */
  readonly keys?: { readonly [K in KeyOf<P>]?: KeyType };
  /** What a param of well-formed keys lacks, though ATB has a default for each: the block that `layerType` selects. */
  lacks?(param: P): readonly ParamLack[];
  arity(param: P): Arity;
  /** What comes out; names what does not fit by `inputs.fail`, which throws GRAPH_SHAPE_MISMATCH. */
  shapes(inputs: Inputs, param: P): TensorDesc[];
  /** Output index -> input index, for outputs that are written into what the operation reads. */
  inPlace?(param: P): Readonly<Record<number, number>>;
  /** Inputs that change although they are no outputs. */
  readonly writes?: readonly number[];
  /** Of a product: the matrix, or the matrices, that the engine packs when they come from outside. */
  matrix?(param: P): PackedMatrix | readonly PackedMatrix[];
  readonly atb?: AtbRules<P>;
}

export type NoParam = Readonly<Record<string, never>>;

/** The same number of tensors whatever the param says. */
export const fixed = (inputs: number, outputs: number) => (): Arity => ({ inputs, outputs });

/** How many optional tensors are there. */
export const count = (...optional: readonly (boolean | undefined)[]): number =>
  optional.filter(Boolean).length;

/**
 * Keys of ATB's of which our graphs know one value: others want inputs, outputs or layouts that no graph of ours has, and
 * whose rules this check does not know. An absent key has ATB's default, which is that value.
 */
export const onlyKnown = (
  param: object,
  known: Readonly<Record<string, string | number | boolean>>,
): string[] =>
  Object.entries(known).flatMap(([key, value]) => {
    const found: unknown = (param as Readonly<Record<string, unknown>>)[key];
    return unless(found === undefined || found === value, `${key} must be ${value}, found ${found}`);
  });

/** A problem, unless all is well. */
export const unless = (ok: boolean, problem: string): string[] => (ok ? [] : [problem]);
