import { count, type OpDefinition, unless } from './definition.js';

export type ActivationParam =
  | {
      readonly activationType:
        | 'ACTIVATION_RELU'
        | 'ACTIVATION_FAST_GELU'
        | 'ACTIVATION_SIGMOID'
        | 'ACTIVATION_LOG';
    }
  /** tanh form, or the exact one (`NONE_MODE`). */
  | { readonly activationType: 'ACTIVATION_GELU'; readonly geluMode: 'TANH_MODE' | 'NONE_MODE' }
  | { readonly activationType: 'ACTIVATION_SWISH'; readonly scale?: number }
  /** dy, x -> gradient of the forward operation by x. */
  | { readonly activationType: 'ACTIVATION_SWIGLU_BACKWARD'; readonly dim: number }
  /** x = [a, b] along `dim` -> silu(a) * b. */
  | ({ readonly activationType: 'ACTIVATION_SWIGLU_FORWARD'; readonly dim: number } & SwigluClamp);

/**
 * What a SwiGLU of gates a and of b, which they gate, becomes with a limit. With u = b within [-limit, limit] and
 * swish(x) = x * sigmoid(gateScale * x) it is swish(min(a, limit)) * (u + 1) for `plus-one`, which is gpt-oss's;
 * swish(min(a, limit)) * u for `gates`; and min(swish(a), limit) * u for `activated`.
 */
export const CLAMP_FORMS = ['plus-one', 'gates', 'activated'] as const;

/** Extension keys of SwiGLU. */
export interface SwigluClamp {
  /** Above 0; nothing is clamped when absent. */
  readonly limit?: number;
  /** 1 when absent. */
  readonly gateScale?: number;
  /** `plus-one` when absent. */
  readonly clampForm?: (typeof CLAMP_FORMS)[number];
}

export const activation: OpDefinition<'Activation', ActivationParam> = {
  type: 'Activation',
  keys: { limit: 'number', gateScale: 'number', clampForm: CLAMP_FORMS },
  arity: ({ activationType }) => ({
    inputs: 1 + count(activationType === 'ACTIVATION_SWIGLU_BACKWARD'),
    outputs: 1,
  }),
  shapes(inputs, param) {
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
  atb: {
    section: ({ activationType }) =>
      `ActivationOperation${(activationType ?? '').slice('ACTIVATION_'.length).replaceAll('_', '')}`,
    // activation_operation.cpp, CreateOperation: no type but -1 as dim, and none that is undefined.
    problems: (param) => [
      ...unless(isDefined(param.activationType), 'activationType must be defined'),
      ...unless(
        !('dim' in param) || param.dim === -1,
        `dim must be -1, found ${'dim' in param ? param.dim : -1}`,
      ),
    ],
  },
};

const isDefined = (type: string | undefined): boolean =>
  type !== undefined && type !== 'ACTIVATION_UNDEFINED' && type !== 'ACTIVATION_MAX';
