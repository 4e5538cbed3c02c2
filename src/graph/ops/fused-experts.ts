import { CLAMP_FORMS, type SwigluClamp } from './activation.js';
import { count, type OpDefinition } from './definition.js';

/**
 * The sum of each token's chosen experts, weighted: x[tokens, k], chosen i32[tokens, top], probs[tokens, top], gate over
 * up [experts, 2 * i, k], (its scale), (its offset), (its bias [experts, 2 * i]), down[experts, n, i], (its scale), (its
 * offset), (its bias [experts, n]) -> [tokens, n]. An expert is down(act(gate(x)) * up(x)), or with a limit down of a
 * clamped SwiGLU. What GroupedMatmul reads of rows stands behind the scales and offsets of a matrix.
 */
export interface FusedExpertsParam extends SwigluClamp {
  readonly activation: 'swiglu' | 'geglu' | 'geglu-tanh';
  /** Of integers; floats when absent. */
  readonly gateUpBits?: 8 | 4;
  readonly downBits?: 8 | 4;
  /** Integers have offsets, which the engine packed with them. */
  readonly gateUpOffset?: boolean;
  readonly downOffset?: boolean;
  readonly hasBias?: boolean;
  /** Rows become int8 with a scale each, as DynamicQuant makes them. */
  readonly int8Activations?: boolean;
  /** Rows become int8 by a scale and an offset of each expert. */
  readonly staticActivations?: boolean;
  /** Each expert reads the channels of its rows in an order of its own. */
  readonly gateUpChannels?: boolean;
}

export const fusedExperts: OpDefinition<'FusedExperts', FusedExpertsParam> = {
  type: 'FusedExperts',
  keys: {
    activation: ['swiglu', 'geglu', 'geglu-tanh'],
    gateUpBits: [8, 4],
    downBits: [8, 4],
    gateUpOffset: 'bool',
    downOffset: 'bool',
    hasBias: 'bool',
    limit: 'number',
    gateScale: 'number',
    clampForm: CLAMP_FORMS,
    int8Activations: 'bool',
    staticActivations: 'bool',
    gateUpChannels: 'bool',
  },
  arity: (param) => ({ inputs: downInput(param) + downInputs(param), outputs: 1 }),
  shapes(inputs, param) {
    const { gateUpBits, downBits, hasBias } = param;
    const { dtype } = inputs.at(0, 2);
    const tokens = inputs.size(0, 0);
    inputs.equal('rows of the choices', inputs.size(1, 0), tokens);
    inputs.sameShape(2, inputs.at(1, 2).shape);
    const down = downInput(param);
    inputs.at(GATE_UP, 3);
    inputs.at(down, 3);
    inputs.equal('experts of down', inputs.size(down, 0), inputs.size(GATE_UP, 0));
    const width = (input: number, bits: number | undefined) => (inputs.size(input, 2) * 8) / (bits ?? 8);
    inputs.equal("the experts' inner size", width(GATE_UP, gateUpBits), inputs.size(0, 1));
    inputs.equal('the width of down', width(down, downBits) * 2, inputs.size(GATE_UP, 1));
    const biasOf = (matrix: number, last: number) =>
      inputs.sameShape(last, [inputs.size(matrix, 0), inputs.size(matrix, 1)]);
    if (hasBias) biasOf(GATE_UP, down - 1);
    if (hasBias) biasOf(down, down + downInputs(param) - 1);
    return [{ dtype, shape: [tokens, inputs.size(down, 1)] }];
  },
  matrix: (param) => [
    { input: GATE_UP, layout: 'linear-interleaved' },
    { input: downInput(param), layout: 'linear' },
  ],
};

const GATE_UP = 3;

/** A matrix, its scale, its offset, the scale and the offset of its inputs, their order, its bias. */
const gateUpInputs = (param: FusedExpertsParam): number =>
  1 +
  count(param.gateUpBits !== undefined, param.gateUpOffset, param.gateUpChannels, param.hasBias) +
  ofStaticInputs(param);
const downInputs = (param: FusedExpertsParam): number =>
  1 + count(param.downBits !== undefined, param.downOffset, param.hasBias) + ofStaticInputs(param);
const ofStaticInputs = ({ staticActivations }: FusedExpertsParam): number => (staticActivations ? 2 : 0);

const downInput = (param: FusedExpertsParam): number => GATE_UP + gateUpInputs(param);
