import { DTYPE_OF_ACL, type ShapeRules } from './inputs.js';

export const ELEMENTWISE_SHAPES: ShapeRules<
  'Elewise' | 'Activation' | 'Sigmoid' | 'Softmax' | 'Reduce' | 'Cumsum' | 'Sort'
> = {
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
        return [{ dtype: x.dtype, shape: inputs.broadcast(0, 1) }];
      case 'ELEWISE_LESS':
      case 'ELEWISE_GREATER':
      case 'ELEWISE_EQUAL':
      case 'ELEWISE_LOGICAL_AND':
      case 'ELEWISE_LOGICAL_OR':
        inputs.sameDtype(0, 1);
        return [{ dtype: 'i8', shape: inputs.broadcast(0, 1) }];
      default:
        return [x];
    }
  },
  Activation(inputs, param) {
    switch (param.activationType) {
      case 'ACTIVATION_SWIGLU_FORWARD': {
        const { dtype, shape } = inputs.at(0);
        const axis = inputs.axis(0, param.dim);
        const half = inputs.size(0, axis) / 2;
        if (!Number.isInteger(half)) inputs.fail(`axis ${axis} of [${shape}] must be even`);
        return [{ dtype, shape: shape.with(axis, half) }];
      }
      case 'ACTIVATION_SWIGLU_BACKWARD': {
        const x = inputs.at(1);
        const axis = inputs.axis(1, param.dim);
        inputs.sameShape(0, x.shape.with(axis, inputs.size(1, axis) / 2));
        return [x];
      }
      default:
        return [inputs.at(0)];
    }
  },
  Sigmoid: (inputs) => [inputs.at(0)],
  Softmax(inputs, { axes }) {
    for (const axis of axes) inputs.axis(0, axis);
    return [inputs.at(0)];
  },
  Reduce(inputs, { axis }) {
    const { dtype, shape } = inputs.at(0);
    const gone = axis.map((a) => inputs.axis(0, a));
    return [{ dtype, shape: shape.filter((_, index) => !gone.includes(index)) }];
  },
  Cumsum(inputs, { axes }) {
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
};
