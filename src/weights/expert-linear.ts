import { AtbError } from '../errors.js';
import { refuseArgument } from '../require-argument.js';
import { Linear, type LinearOptions } from './linear.js';
import { requireExperts, requireWeights } from './require-weights.js';
import { constantWeight } from './weight-changes.js';
import type { QuantizedWeight, TensorRef, Weights } from './weights.js';

export interface ExpertLinearOptions {
  /** Name of the stack: `experts.gate_up_proj`. */
  readonly name: string;
  readonly experts: number;
  /** The projection of one expert, as `Linear.load` takes it. */
  of(expert: number): Omit<LinearOptions, 'name'>;
}

/** What a Linear has of tensors, each of them a stack. */
type Stacks = Readonly<Partial<Record<(typeof STACKED)[number], TensorRef>>>;

/** Those that a product reads as its weight, in its order, and those that say what becomes of its rows and sums. */
const OPERANDS = ['weight', 'scale', 'offset', 'bias'] as const;
const STACKED = [...OPERANDS, 'channels', 'inputScale', 'inputOffset', 'sumBias'] as const;

/** One projection of every expert: [experts, outFeatures, inFeatures], floats or integers, all in the same form. */
export class ExpertLinear {
  private constructor(
    /** Of one expert; its tensors are the stack's. */
    private readonly linear: Pick<Linear, 'name' | 'desc' | 'dtype' | 'groupSize' | 'hasOffset'>,
    readonly experts: number,
    private readonly stacks: Stacks,
  ) {}

  /**
   * Throws what `Linear.load` throws, WEIGHT_QUANT_MIXED when experts differ in their form, and WEIGHT_QUANT_EXPERTS for
   * what products of experts do not read.
   */
  static load(weights: Weights, options: ExpertLinearOptions): ExpertLinear {
    requireWeights('ExpertLinear.load', weights);
    requireExperts('ExpertLinear.load', options);
    const { name, experts, of } = options;
    const linears = Array.from({ length: experts }, (_, expert) =>
      Linear.load(weights, { ...of(expert), name: `${name}.${expert}` }),
    );
    const [first] = linears;
    if (first === undefined)
      return refuseArgument('ExpertLinear.load', 'options.experts', 'at least 1', experts);
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
    const stacks = STACKED.flatMap((field) => {
      const refs = field === 'channels' ? orders(linears) : linears.flatMap((linear) => linear[field] ?? []);
      const [ref, ...others] = refs;
      if (ref === undefined) return [];
      const stackName = `${full}${ref.name.slice(ref.name.lastIndexOf('.'))}`;
      return [[field, stacked(stackName, [ref, ...others], hasOffset)] as const];
    });
    const { desc, dtype, groupSize } = first;
    const linear = { name: full, desc, dtype, groupSize, hasOffset };
    return new ExpertLinear(linear, experts, Object.fromEntries(stacks));
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

  get hasBias(): boolean {
    return this.stacks.bias !== undefined;
  }

  /** Whether integers of some expert have offsets that are not all zero. */
  get hasOffset(): boolean {
    return this.linear.hasOffset;
  }

  get isFloat(): boolean {
    return this.stacks.scale === undefined;
  }

  /** The order in which each expert reads the channels of its input; as they are when absent. i32 [experts, inFeatures] */
  get channels(): TensorRef | undefined {
    return this.stacks.channels;
  }

  /** Of W8A8, as in `Linear`: [experts, 1] both. */
  get inputScale(): TensorRef | undefined {
    return this.stacks.inputScale;
  }

  get inputOffset(): TensorRef | undefined {
    return this.stacks.inputOffset;
  }

  /** Of W8A8: i32 [experts, outFeatures]. */
  get sumBias(): TensorRef | undefined {
    return this.stacks.sumBias;
  }

  getWeights(): readonly TensorRef[] {
    return STACKED.flatMap((field) => this.stacks[field] ?? []);
  }

  /** weight, (scale, (offset)), (bias), as a Linear has them, each a stack. */
  weightNames(): string[] {
    return OPERANDS.flatMap((field) => this.stacks[field]?.name ?? []);
  }
}

/** What of a linear products of experts do not read. */
function oddity({ divisors, inputScale, bias }: Linear): string | undefined {
  if (inputScale && bias) return 'biases of floats beside inputs whose scale was decided beforehand';
  return divisors ? 'inputs that are divided' : undefined;
}

/** The order in which each expert reads channels, where some expert has one: of others that is their own. */
function orders(linears: readonly Linear[]): TensorRef[] {
  const known = linears.find(({ channels }) => channels)?.channels;
  if (known === undefined) return [];
  const asTheyAre = Int32Array.from({ length: known.shape[0] ?? 0 }, (_, channel) => channel);
  return linears.map(
    ({ channels }) => channels ?? { ...known, values: { dtype: 'i32', shape: known.shape, data: asTheyAre } },
  );
}

/** The same tensor of every expert, one behind the other: [experts, …]. */
function stacked(name: string, refs: readonly [TensorRef, ...TensorRef[]], hasOffset: boolean): TensorRef {
  const [{ dtype, shape, quantized, isIntegerBias }] = refs;
  if (quantized?.role === 'offset' && hasOffset) return stackedOffsets(name, refs);
  const stem = name.slice(0, name.lastIndexOf('.'));
  const values = refs.flatMap((ref) => (ref.values ? [ref.values.data as Int32Array] : []));
  const whole = [refs.length, ...shape];
  return {
    name,
    dtype,
    shape: whole,
    ...(values.length > 0 && { values: { dtype: 'i32' as const, shape: whole, data: joined(values) } }),
    parts: refs.some(({ parts }) => parts.length === 0) ? [] : refs.flatMap(({ parts }) => parts),
    ...(isIntegerBias && { isIntegerBias }),
    ...(quantized && {
      quantized: quantized.role === 'weight' ? ofAll(stem, quantized, refs, hasOffset) : quantized,
    }),
  };
}

function joined(rows: readonly Int32Array[]): Int32Array {
  const data = new Int32Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    data.set(row, at);
    at += row.length;
  }
  return data;
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
  scaleName: `${stem}${first.scaleName.slice(first.scaleName.lastIndexOf('.'))}`,
  ...(hasOffset && { offsetName: `${stem}.weight_offset` }),
  mustBeZero: refs.flatMap(({ quantized }) => (quantized?.role === 'weight' ? quantized.mustBeZero : [])),
});
