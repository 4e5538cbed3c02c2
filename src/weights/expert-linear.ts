import { AtbError } from '../errors.js';
import { Linear, type LinearOptions } from './linear.js';
import { constantWeight } from './weight-changes.js';
import type { QuantizedWeight, TensorRef, Weights } from './weights.js';

export interface ExpertLinearOptions {
  /** Name of the stack: `experts.gate_up_proj`. */
  readonly name: string;
  readonly experts: number;
  /** The projection of one expert, as `Linear.load` takes it. */
  of(expert: number): Omit<LinearOptions, 'name'>;
}

/** One projection of every expert: [experts, outFeatures, inFeatures], floats or integers, all in the same form. */
export class ExpertLinear {
  private constructor(
    /** Of one expert; its tensors are the stack's. */
    private readonly linear: Pick<Linear, 'name' | 'desc' | 'dtype' | 'groupSize' | 'hasOffset'>,
    readonly experts: number,
    private readonly tensors: readonly TensorRef[],
    readonly hasBias: boolean,
  ) {}

  /**
   * Throws what `Linear.load` throws, WEIGHT_QUANT_MIXED when experts differ in their form, and WEIGHT_QUANT_EXPERTS for
   * what products of experts do not read.
   */
  static load(weights: Weights, { name, experts, of }: ExpertLinearOptions): ExpertLinear {
    const linears = Array.from({ length: experts }, (_, expert) =>
      Linear.load(weights, { ...of(expert), name: `${name}.${expert}` }),
    );
    const [first] = linears;
    if (first === undefined) throw new RangeError(`${name}: a stack of ${experts} experts`);
    const forms = linears.map(({ desc, groupSize }) => `${desc}/${groupSize}`);
    const full = weights.path(name);
    if (new Set(forms).size > 1) {
      const found = forms.map((form, expert) => `${name}.${expert} ${form}`);
      throw new AtbError('WEIGHT_QUANT_MIXED', { name: full, found });
    }
    for (const linear of linears) {
      const found = oddity(linear);
      if (found) throw new AtbError('WEIGHT_QUANT_EXPERTS', { name: linear.name, found });
    }
    const hasOffset = linears.some((linear) => linear.hasOffset);
    const tensors = first.getWeights().map((ref, index) => {
      const [, ...others] = linears.map((linear) => linear.getWeights()[index] ?? ref);
      return stacked(`${full}${ref.name.slice(ref.name.lastIndexOf('.'))}`, [ref, ...others], hasOffset);
    });
    const { desc, dtype, groupSize } = first;
    const linear = { name: full, desc, dtype, groupSize, hasOffset };
    return new ExpertLinear(linear, experts, tensors, first.hasBias);
  }

  get name(): string {
    return this.linear.name;
  }

  get desc(): Linear['desc'] {
    return this.linear.desc;
  }

  /** The dtype of what it reads and writes. */
  get dtype(): Linear['dtype'] {
    return this.linear.dtype;
  }

  /** How many input channels share a scale; 0 as in `Linear`. */
  get groupSize(): number {
    return this.linear.groupSize;
  }

  /** Whether integers of some expert have offsets that are not all zero. */
  get hasOffset(): boolean {
    return this.linear.hasOffset;
  }

  get isFloat(): boolean {
    return !['W8A16', 'W8A8_DYNAMIC', 'W4A16', 'W4A8_DYNAMIC', 'FP8', 'FP4'].includes(this.desc);
  }

  /** weight, (scale, (offset)), (bias), as a Linear has them, each a stack. */
  getWeights(): readonly TensorRef[] {
    return this.tensors;
  }

  weightNames(): string[] {
    return this.tensors.map((tensor) => tensor.name);
  }
}

/** What of a linear products of experts do not read. */
function oddity({ channels, divisors, inputScale }: Linear): string | undefined {
  if (inputScale) return 'inputs whose scale was decided beforehand';
  return channels || divisors ? 'inputs that are ordered or divided' : undefined;
}

/** The same tensor of every expert, one behind the other: [experts, …]. */
function stacked(name: string, refs: readonly [TensorRef, ...TensorRef[]], hasOffset: boolean): TensorRef {
  const [{ dtype, shape, quantized, isIntegerBias }] = refs;
  if (quantized?.role === 'offset' && hasOffset) return stackedOffsets(name, refs);
  const stem = name.slice(0, name.lastIndexOf('.'));
  return {
    name,
    dtype,
    shape: [refs.length, ...shape],
    parts: refs.some(({ parts }) => parts.length === 0) ? [] : refs.flatMap(({ parts }) => parts),
    ...(isIntegerBias && { isIntegerBias }),
    ...(quantized && {
      quantized: quantized.role === 'weight' ? ofAll(stem, quantized, refs, hasOffset) : quantized,
    }),
  };
}

/** Experts that are symmetric have zeros beside those that are not. */
const stackedOffsets = (name: string, refs: readonly [TensorRef, ...TensorRef[]]): TensorRef => ({
  name,
  dtype: refs[0].dtype,
  shape: [refs.length, ...refs[0].shape],
  parts: refs.flatMap(({ parts, shape }) =>
    parts.length > 0 ? parts : constantWeight(name, shape, 0).parts,
  ),
  quantized: { role: 'offset', activations: 'float', isZero: false },
});

const ofAll = (
  stem: string,
  first: QuantizedWeight,
  refs: readonly TensorRef[],
  hasOffset: boolean,
): QuantizedWeight => ({
  ...first,
  scaleName: `${stem}.weight_scale`,
  ...(hasOffset && { offsetName: `${stem}.weight_offset` }),
  mustBeZero: refs.flatMap(({ quantized }) => (quantized?.role === 'weight' ? quantized.mustBeZero : [])),
});
