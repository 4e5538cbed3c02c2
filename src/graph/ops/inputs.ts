import type { DType, FloatDType } from '../../dtype.js';
import { AtbError } from '../../errors.js';

/** A tensor without its values. */
export interface TensorDesc {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Whether a shape becomes `target` by broadcasting, without changing `target`. */
export const broadcastsTo = (shape: readonly number[], target: readonly number[]): boolean =>
  shape.length <= target.length &&
  shape.every((size, axis) => size === 1 || size === target[axis + target.length - shape.length]);

/** Where a shape problem is reported. */
export interface OpPlace {
  readonly graph: string;
  readonly op: string;
}

/** An operation's inputs, with the questions that shape rules ask of them. */
export class Inputs {
  constructor(
    private readonly place: OpPlace,
    private readonly descs: readonly TensorDesc[],
  ) {}

  /** Input `index`; its rank is checked against `ranks` when given. */
  at(index: number, ...ranks: number[]): TensorDesc {
    const desc = this.descs[index];
    if (desc === undefined) this.fail(`input ${index} is missing`);
    if (ranks.length > 0 && !ranks.includes(desc.shape.length)) {
      this.fail(`input ${index} must have ${ranks.join(' or ')} axes, found [${desc.shape}]`);
    }
    return desc;
  }

  /** Size of an axis, counted from the end when negative. */
  size(index: number, axis: number): number {
    const { shape } = this.at(index);
    return shape.at(this.axis(index, axis)) ?? 0;
  }

  axis(index: number, axis: number): number {
    const rank = this.at(index).shape.length;
    if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
      this.fail(`axis ${axis} does not exist in input ${index}, which is [${this.at(index).shape}]`);
    }
    return axis < 0 ? axis + rank : axis;
  }

  equal(what: string, found: number, expected: number): void {
    if (found !== expected) this.fail(`${what} must be ${expected}, found ${found}`);
  }

  sameShape(index: number, shape: readonly number[]): void {
    const found = this.at(index).shape;
    if (found.length !== shape.length || found.some((size, axis) => size !== shape[axis])) {
      this.fail(`input ${index} must be [${shape}], found [${found}]`);
    }
  }

  sameDtype(index: number, ...others: number[]): void {
    for (const other of others) {
      if (this.at(other).dtype !== this.at(index).dtype) {
        this.fail(
          `inputs ${index} and ${other} must have one dtype, found ${this.at(index).dtype} and ${this.at(other).dtype}`,
        );
      }
    }
  }

  /** The shape to which some inputs broadcast. */
  broadcast(...indices: number[]): number[] {
    const shapes = indices.map((index) => this.at(index).shape);
    const rank = Math.max(...shapes.map((shape) => shape.length));
    return Array.from({ length: rank }, (_, axis) => {
      const sizes = shapes.map((shape) => shape.at(axis - rank) ?? 1).filter((size) => size !== 1);
      if (new Set(sizes).size > 1) {
        this.fail(`${shapes.map((shape) => `[${shape}]`).join(' and ')} do not broadcast`);
      }
      return sizes[0] ?? 1;
    });
  }

  fail(reason: string): never {
    throw new AtbError('GRAPH_SHAPE_MISMATCH', { ...this.place, reason });
  }
}

/** ATB's names of element types. */
export type AclDataType =
  | 'ACL_DT_UNDEFINED'
  | 'ACL_FLOAT'
  | 'ACL_FLOAT16'
  | 'ACL_BF16'
  | 'ACL_INT8'
  | 'ACL_INT32'
  | 'ACL_INT64';

export const DTYPE_OF_ACL: Readonly<Partial<Record<AclDataType, DType>>> = {
  ACL_FLOAT: 'f32',
  ACL_FLOAT16: 'f16',
  ACL_BF16: 'bf16',
  ACL_INT8: 'i8',
  ACL_INT32: 'i32',
  ACL_INT64: 'i64',
};

/** What ATB calls the dtypes that models run in. */
export const ACL_OF_DTYPE = {
  f32: 'ACL_FLOAT',
  f16: 'ACL_FLOAT16',
  bf16: 'ACL_BF16',
} as const satisfies Record<FloatDType, AclDataType>;
