import { DTYPE_OF_ACL, type ShapeRules } from './inputs.js';

type Moves =
  | 'Gather'
  | 'Split'
  | 'Slice'
  | 'Concat'
  | 'Transpose'
  | 'Repeat'
  | 'SetValue'
  | 'Fill'
  | 'Where'
  | 'Cast';
type Collectives = 'AllReduce' | 'AllGather';

export const MOVEMENT_SHAPES: ShapeRules<Moves | Collectives> = {
  Gather(inputs, { axis, batchDims = 0 }) {
    const x = inputs.at(0);
    const at = inputs.axis(0, axis);
    for (let batch = 0; batch < batchDims; batch++) {
      inputs.equal(`axis ${batch} of the indices`, inputs.size(1, batch), inputs.size(0, batch));
    }
    const indices = inputs.at(1).shape.slice(batchDims);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, at), ...indices, ...x.shape.slice(at + 1)] }];
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
  Repeat(inputs, { multiples }) {
    const { dtype, shape } = inputs.at(0);
    const added = multiples.length - shape.length;
    if (added < 0) inputs.fail(`multiples [${multiples}] has fewer entries than the ${shape.length} axes`);
    return [{ dtype, shape: multiples.map((count, axis) => count * (shape[axis - added] ?? 1)) }];
  },
  SetValue(inputs, { starts, ends, strides }) {
    inputs.equal('the number of starts', starts.length, inputs.at(0).shape.length);
    inputs.sameDtype(0, 1);
    const box = starts.map((start, axis) => {
      if ((ends[axis] ?? 0) > inputs.size(0, axis))
        inputs.fail(`ends [${ends}] leaves [${inputs.at(0).shape}]`);
      return Math.ceil(((ends[axis] ?? 0) - start) / (strides[axis] ?? 1));
    });
    inputs.sameShape(1, box);
    return [];
  },
  Fill: (inputs, { withMask = false, outDim = [] }) => [
    withMask ? inputs.at(0) : { dtype: 'f16', shape: outDim },
  ],
  Where(inputs) {
    inputs.sameDtype(1, 2);
    return [{ dtype: inputs.at(1).dtype, shape: inputs.broadcast(0, 1, 2) }];
  },
  Cast(inputs, { dtype }) {
    return [
      { dtype: DTYPE_OF_ACL[dtype] ?? inputs.fail(`cannot cast to ${dtype}`), shape: inputs.at(0).shape },
    ];
  },
  AllReduce: (inputs) => [inputs.at(0)],
  AllGather: (inputs) => inputs.fail('the shape of AllGather depends on the process group'),
};
