import type { DType } from '../dtype.js';
import { AtbError } from '../errors.js';
import type { ViewDim } from './graph-spec.js';
import type { AclDataType, AtbOpParams, AtbOpType } from './op-params.js';

/** A tensor without its values. */
export interface TensorDesc {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Where a shape problem is reported. */
export interface OpPlace {
  readonly graph: string;
  readonly op: string;
}

/** An operation's inputs, with the questions that the rules below ask of them. */
class Inputs {
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

  fail(reason: string): never {
    throw new AtbError('GRAPH_SHAPE_MISMATCH', { ...this.place, reason });
  }
}

const DTYPE_OF_ACL: Readonly<Partial<Record<AclDataType, DType>>> = {
  ACL_FLOAT: 'f32',
  ACL_FLOAT16: 'f16',
  ACL_BF16: 'bf16',
  ACL_INT8: 'i8',
  ACL_INT32: 'i32',
  ACL_INT64: 'i64',
};

/** Rows [.., k] times a weight that is [n, k], or [k, n] when not transposed. */
function matmul(inputs: Inputs, transposeB: boolean, dtype: DType): TensorDesc[] {
  const x = inputs.at(0, 2, 3);
  inputs.at(1, 2);
  const [n, k] = transposeB ? [inputs.size(1, 0), inputs.size(1, 1)] : [inputs.size(1, 1), inputs.size(1, 0)];
  inputs.equal("the weight's inner size", k, inputs.size(0, -1));
  return [{ dtype, shape: [...x.shape.slice(0, -1), n] }];
}

function bias(inputs: Inputs, index: number, outputs: readonly TensorDesc[]): TensorDesc[] {
  inputs.equal('the bias size', inputs.size(index, -1), outputs[0]?.shape.at(-1) ?? 0);
  return [...outputs];
}

function weightQuantMatmul(inputs: Inputs, param: AtbOpParams['W8A16MatMul'], perByte: number): TensorDesc[] {
  const x = inputs.at(0, 2, 3);
  inputs.at(1, 2);
  const [n, k] = param.transposeB
    ? [inputs.size(1, 0), inputs.size(1, 1) * perByte]
    : [inputs.size(1, 1) * perByte, inputs.size(1, 0)];
  inputs.equal("the weight's inner size", k, inputs.size(0, -1));
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), n] }];
}

function broadcast(inputs: Inputs): readonly number[] {
  const [a, b] = [inputs.at(0).shape, inputs.at(1).shape];
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [x, y] = [a.at(axis - rank) ?? 1, b.at(axis - rank) ?? 1];
    if (x !== y && x !== 1 && y !== 1) inputs.fail(`[${a}] and [${b}] do not broadcast`);
    return Math.max(x, y);
  });
}

function attention(inputs: Inputs, param: { headNum: number; kvHeadNum: number }): TensorDesc[] {
  const q = inputs.at(0, 3);
  inputs.equal('query heads', inputs.size(0, 1), param.headNum);
  inputs.equal('head size of keys', inputs.size(1, -1), inputs.size(0, 2));
  inputs.equal('key heads', inputs.size(1, -2), param.kvHeadNum);
  inputs.sameShape(2, inputs.at(1).shape);
  inputs.sameDtype(0, 1, 2);
  if (param.kvHeadNum < 1 || param.headNum % param.kvHeadNum !== 0) {
    inputs.fail(`headNum ${param.headNum} is not a multiple of kvHeadNum ${param.kvHeadNum}`);
  }
  return [q];
}

const RULES: { readonly [T in AtbOpType]: (inputs: Inputs, param: AtbOpParams[T]) => TensorDesc[] } = {
  Gather(inputs, { axis, batchDims = 0 }) {
    const x = inputs.at(0);
    const at = inputs.axis(0, axis);
    if (batchDims !== 0) inputs.fail('batchDims other than 0 is not supported');
    return [
      { dtype: x.dtype, shape: [...x.shape.slice(0, at), ...inputs.at(1).shape, ...x.shape.slice(at + 1)] },
    ];
  },
  Linear(inputs, { transposeA, transposeB, hasBias, outDataType }) {
    if (transposeA) inputs.fail('transposeA is not supported');
    inputs.sameDtype(0, 1);
    const dtype = (outDataType && DTYPE_OF_ACL[outDataType]) ?? inputs.at(0).dtype;
    const out = matmul(inputs, transposeB, dtype);
    return hasBias ? bias(inputs, 2, out) : out;
  },
  LinearParallel(inputs, { transWeight, hasResidual, type = 'LINEAR_ALL_REDUCE', rankSize }) {
    inputs.sameDtype(0, 1);
    const [out] = matmul(inputs, transWeight, inputs.at(0).dtype);
    const [rows = 0, ...rest] = out?.shape ?? [];
    const scaled =
      type === 'LINEAR_REDUCE_SCATTER'
        ? rows / rankSize
        : type === 'ALL_GATHER_LINEAR'
          ? rows * rankSize
          : rows;
    if (!Number.isInteger(scaled)) inputs.fail(`${rows} rows do not divide among ${rankSize} ranks`);
    const shape = [scaled, ...rest];
    if (hasResidual) inputs.sameShape(2, shape);
    return [{ dtype: inputs.at(0).dtype, shape }];
  },
  Split(inputs, { splitDim, splitNum, splitSizes }) {
    const { dtype, shape } = inputs.at(0);
    const axis = inputs.axis(0, splitDim);
    const total = inputs.size(0, axis);
    const sizes = splitSizes ?? Array.from({ length: splitNum }, () => total / splitNum);
    if (sizes.length !== splitNum)
      inputs.fail(`splitSizes has ${sizes.length} entries for splitNum ${splitNum}`);
    if (!sizes.every(Number.isInteger)) inputs.fail(`${total} does not divide into ${splitNum} equal parts`);
    inputs.equal(
      'the sum of splitSizes',
      sizes.reduce((a, b) => a + b, 0),
      total,
    );
    return sizes.map((size) => ({ dtype, shape: shape.with(axis, size) }));
  },
  Slice(inputs, { offsets, size }) {
    const { dtype, shape } = inputs.at(0);
    inputs.equal('the number of offsets', offsets.length, shape.length);
    inputs.equal('the number of sizes', size.length, shape.length);
    const out = shape.map((extent, axis) => {
      const offset = offsets[axis] ?? 0;
      const from = offset < 0 ? offset + extent : offset;
      const length = size[axis] === -1 ? extent - from : (size[axis] ?? 0);
      if (from < 0 || length < 1 || from + length > extent) {
        inputs.fail(`a slice of ${size[axis]} from ${offset} leaves axis ${axis} of [${shape}]`);
      }
      return length;
    });
    return [{ dtype, shape: out }];
  },
  Concat(inputs, { concatDim }) {
    const axis = inputs.axis(0, concatDim);
    inputs.sameDtype(0, 1);
    inputs.sameShape(1, inputs.at(0).shape.with(axis, inputs.size(1, axis)));
    const { dtype, shape } = inputs.at(0);
    return [{ dtype, shape: shape.with(axis, inputs.size(0, axis) + inputs.size(1, axis)) }];
  },
  Transpose(inputs, { perm }) {
    const { dtype, shape } = inputs.at(0);
    const sorted = [...perm].sort((a, b) => a - b);
    if (perm.length !== shape.length || sorted.some((axis, index) => axis !== index)) {
      inputs.fail(`perm [${perm}] is not an order of the ${shape.length} axes`);
    }
    return [{ dtype, shape: perm.map((axis) => shape[axis] ?? 0) }];
  },
  Elewise(inputs, param) {
    const x = inputs.at(0);
    switch (param.elewiseType) {
      case 'ELEWISE_CAST': {
        const dtype =
          DTYPE_OF_ACL[param.outTensorType] ?? inputs.fail(`cannot cast to ${param.outTensorType}`);
        return [{ dtype, shape: x.shape }];
      }
      case 'ELEWISE_ADD':
      case 'ELEWISE_SUB':
      case 'ELEWISE_MUL':
      case 'ELEWISE_REALDIV':
        inputs.sameDtype(0, 1);
        return [{ dtype: x.dtype, shape: broadcast(inputs) }];
      default:
        return [x];
    }
  },
  Activation(inputs, param) {
    const x = inputs.at(0);
    if (param.activationType !== 'ACTIVATION_SWIGLU_FORWARD') return [x];
    const axis = inputs.axis(0, param.dim);
    const half = inputs.size(0, axis) / 2;
    if (!Number.isInteger(half)) inputs.fail(`axis ${axis} of [${x.shape}] must be even`);
    return [{ dtype: x.dtype, shape: x.shape.with(axis, half) }];
  },
  RmsNorm(inputs, param) {
    const x = inputs.at(0);
    const pre = param.layerType === 'RMS_NORM_PRENORM';
    const { quantType } = pre ? param.preNormParam : param.normParam;
    if (pre) inputs.sameShape(param.preNormParam.hasBias ? 2 : 1, x.shape);
    const gamma = pre ? (param.preNormParam.hasBias ? 3 : 2) : 1;
    inputs.equal("gamma's size", inputs.size(gamma, -1), inputs.size(0, -1));
    const norm: TensorDesc = quantType === 'QUANT_INT8' ? { dtype: 'i8', shape: x.shape } : x;
    return pre ? [norm, x] : [norm];
  },
  LayerNorm(inputs, param) {
    const x = inputs.at(0);
    const pre = param.layerType === 'LAYER_NORM_PRENORM';
    const { quantType } = pre ? param.preNormParam : param.normParam;
    if (pre) inputs.sameShape(1, x.shape);
    for (const index of pre ? [2, 3] : [1, 2]) {
      inputs.equal(`the size of input ${index}`, inputs.size(index, -1), inputs.size(0, -1));
    }
    const norm: TensorDesc = quantType === 'QUANT_INT8' ? { dtype: 'i8', shape: x.shape } : x;
    return pre ? [norm, x] : [norm];
  },
  Rope(inputs) {
    const [q, k, cos] = [inputs.at(0, 2, 4), inputs.at(1, 2, 4), inputs.at(2, 2)];
    inputs.sameDtype(0, 1);
    inputs.sameShape(3, cos.shape);
    inputs.equal(
      'rows of cos',
      inputs.size(2, 0),
      q.shape.length === 2 ? inputs.size(0, 0) : inputs.size(0, 0) * inputs.size(0, 1),
    );
    for (const index of [0, 1]) {
      if (inputs.size(index, -1) % inputs.size(2, 1) !== 0) {
        inputs.fail(
          `input ${index}, [${inputs.at(index).shape}], is not made of heads of size ${inputs.size(2, 1)}`,
        );
      }
    }
    inputs.at(4, 1);
    return [q, k];
  },
  ReshapeAndCache(inputs) {
    const [key, cache] = [inputs.at(0, 3), inputs.at(2, 4)];
    inputs.sameShape(1, key.shape);
    inputs.sameShape(3, cache.shape);
    inputs.sameDtype(0, 1);
    inputs.sameDtype(2, 3);
    inputs.equal('heads of the cache', inputs.size(2, 2), inputs.size(0, 1));
    inputs.equal('head size of the cache', inputs.size(2, 3), inputs.size(0, 2));
    inputs.sameShape(4, [inputs.size(0, 0)]);
    return [cache, inputs.at(3)];
  },
  SelfAttention(inputs, param) {
    inputs.at(1, 3);
    inputs.equal('key tokens', inputs.size(1, 0), inputs.size(0, 0));
    if (param.maskType !== 'MASK_TYPE_UNDEFINED') {
      inputs.sameDtype(0, 3);
      if (param.isTriuMask === 1) inputs.sameShape(3, [128, 128]);
      else inputs.equal('columns of the mask', inputs.size(3, -1), inputs.size(3, -2));
    }
    return attention(inputs, param);
  },
  PagedAttention(inputs, param) {
    inputs.at(1, 4);
    const batch = inputs.size(4, 0);
    inputs.at(3, 2);
    inputs.equal('rows of the block table', inputs.size(3, 0), batch);
    const spec = param.calcType === 'CALC_TYPE_SPEC';
    if (!spec) inputs.equal('query tokens', inputs.size(0, 0), batch);
    const masked = param.maskType !== undefined && param.maskType !== 'MASK_TYPE_UNDEFINED';
    if (masked) inputs.sameDtype(0, 5);
    if (spec) inputs.sameShape(masked ? 6 : 5, [batch]);
    return attention(inputs, param);
  },
  AllReduce: (inputs) => [inputs.at(0)],
  AllGather: (inputs) => inputs.fail('the shape of AllGather depends on the process group'),
  Softmax(inputs, { axes }) {
    for (const axis of axes) inputs.axis(0, axis);
    return [inputs.at(0)];
  },
  Sort(inputs, { num }) {
    const { dtype, shape } = inputs.at(0);
    const kept = num[0] ?? 0;
    if (kept < 1 || kept > inputs.size(0, -1)) inputs.fail(`cannot keep ${kept} of ${inputs.size(0, -1)}`);
    const out = shape.with(-1, kept);
    return [
      { dtype, shape: out },
      { dtype: 'i32', shape: out },
    ];
  },
  DynamicQuant(inputs) {
    const { shape } = inputs.at(0);
    return [
      { dtype: 'i8', shape },
      { dtype: 'f32', shape: shape.slice(0, -1) },
    ];
  },
  W8A16MatMul: (inputs, param) => weightQuantMatmul(inputs, param, 1),
  W4A16MatMul: (inputs, param) => weightQuantMatmul(inputs, param, 2),
  W8A8MatMul: (inputs, { transposeB = false, isBF16 = true }) =>
    matmul(inputs, transposeB, isBF16 ? 'bf16' : 'f16'),
};

/** What an operation makes of its inputs. Throws GRAPH_SHAPE_MISMATCH. Rules: ATB's InferShape checks. */
export function inferShapes<T extends AtbOpType>(
  type: T,
  param: AtbOpParams[T],
  inputs: readonly TensorDesc[],
  place: OpPlace,
): TensorDesc[] {
  return RULES[type](new Inputs(place, inputs), param);
}

/** The shape of a view on a tensor. Throws GRAPH_VIEW_INVALID unless it has as many elements. */
export function viewShape(
  source: readonly number[],
  dims: readonly ViewDim[],
  place: { readonly graph: string; readonly view: string },
): number[] {
  const shape = dims.map((size) => {
    if (typeof size === 'number') return size;
    return size.axes.reduce((product, axis) => {
      const extent = source[axis];
      if (extent === undefined) {
        throw new AtbError('GRAPH_VIEW_INVALID', { ...place, reason: `names axis ${axis} of [${source}]` });
      }
      return product * extent;
    }, 1);
  });
  const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
  if (product(shape) !== product(source)) {
    throw new AtbError('GRAPH_VIEW_INVALID', { ...place, reason: `cannot show [${source}] as [${shape}]` });
  }
  return shape;
}
