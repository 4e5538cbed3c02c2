import { type FloatDType, isFloat } from '../dtype.js';
import { AtbError } from '../errors.js';
import { type ArgumentKind, OBJECT, requireArgument } from '../require-argument.js';
import { type LinearAdapters, linearAdapters } from './linear-adapters.js';
import { type LinearPart, packBiases, packParts } from './linear-part.js';
import type { LinearQuant, LinearRole, QuantDesc } from './quantization.js';
import { loadQuantized, type QuantizedPart } from './quantized-linear.js';
import { requireLinear, requireWeights } from './require-weights.js';
import { type TensorRef, WEIGHT } from './tensor-ref.js';
import type { Weights } from './weights.js';

/** How a linear's weight is stored; selects the builder. FLOAT32 is our extension. */
export type LinearDesc = 'FLOAT16' | 'BFLOAT16' | 'FLOAT32' | QuantDesc;

const DESC_OF_DTYPE: Readonly<Record<FloatDType, LinearDesc>> = {
  f32: 'FLOAT32',
  f16: 'FLOAT16',
  bf16: 'BFLOAT16',
};

export interface LinearOptions {
  /** Name of the result; the part's own by default. Needed for several parts, and for a part of a packed tensor. */
  readonly name?: string;
  readonly parts: readonly [LinearPart, ...LinearPart[]];
  readonly inFeatures: number;
  /** Of every part that does not say it itself; false when absent. */
  readonly hasBias?: boolean;
  /** `projection` when absent. */
  readonly role?: LinearRole;
  /** Its input has the order of the stored channels already: the rows that make it were sorted (`channelsOf`). */
  readonly isInputSorted?: boolean;
}

interface LinearTensors {
  readonly weight: TensorRef;
  readonly bias: TensorRef | undefined;
  /** A linear of integers has these: see QuantizedTensors. */
  readonly scale?: TensorRef | undefined;
  readonly offset?: TensorRef | undefined;
  readonly channels?: TensorRef | undefined;
  readonly divisors?: TensorRef | undefined;
  readonly inputScale?: TensorRef | undefined;
  readonly inputOffset?: TensorRef | undefined;
  readonly sumBias?: TensorRef | undefined;
  readonly adapters?: LinearAdapters | undefined;
}

const MADE_BY_LOAD: ArgumentKind = {
  expected: 'those that Linear.load(weights, options) finds; call that',
  holds: (value) => OBJECT.holds(value) && WEIGHT.holds((value as LinearTensors).weight),
};

/** One projection, or several packed by rows into one matrix product: [outFeatures, inFeatures], floats or integers. */
export class Linear {
  readonly weight: TensorRef;
  readonly bias: TensorRef | undefined;
  readonly scale: TensorRef | undefined;
  readonly offset: TensorRef | undefined;
  /** The order in which a product reads the channels of its input; as they are when absent. i32 [inFeatures] */
  readonly channels: TensorRef | undefined;
  /** What the channels of its input are divided by, before they are ordered; nothing when absent. [inFeatures] */
  readonly divisors: TensorRef | undefined;
  /** Of W8A8: by which its input becomes int8, and what is added to the sums of integers. See QuantizedTensors. */
  readonly inputScale: TensorRef | undefined;
  readonly inputOffset: TensorRef | undefined;
  readonly sumBias: TensorRef | undefined;
  /** What LoRA adapters add to what it gives; undefined where the run has none for it. */
  readonly adapters: LinearAdapters | undefined;

  private constructor(
    readonly name: string,
    readonly desc: LinearDesc,
    /** The dtype of what it reads and writes. */
    readonly dtype: FloatDType,
    /** How many input channels share a scale. 0: each output channel has one scale, or there are no scales. */
    readonly groupSize: number,
    tensors: LinearTensors,
  ) {
    requireArgument('new Linear', 'its tensors', MADE_BY_LOAD, tensors);
    const { weight, bias, scale, offset, channels, divisors, ...ofW8A8 } = tensors;
    this.weight = weight;
    this.bias = bias;
    this.scale = scale;
    this.offset = offset;
    this.channels = channels;
    this.divisors = divisors;
    this.inputScale = ofW8A8.inputScale;
    this.inputOffset = ofW8A8.inputOffset;
    this.sumBias = ofW8A8.sumBias;
    this.adapters = ofW8A8.adapters;
  }

  /**
   * Whether a linear is floats or integers is the checkpoint's or the run's business (`Weights.quantOf`); models never ask.
   * Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_CHANGE_INVALID, WEIGHT_QUANT_MIXED,
   * WEIGHT_QUANT_SHAPE.
   */
  static load(weights: Weights, options: LinearOptions): Linear {
    requireWeights('Linear.load', weights);
    requireLinear('Linear.load', options);
    const { parts, inFeatures, hasBias = false, role = 'projection', isInputSorted = false } = options;
    const name = options.name ?? parts[0].name;
    // What stands behind the gathering of rows has no tokens of its own.
    const adapters = role === 'head' ? undefined : linearAdapters(weights, name, parts, inFeatures);
    const quantized = commonQuant(weights, name, parts, role);
    if (quantized) {
      const [{ quant }] = quantized;
      const tensors = loadQuantized(weights, name, quantized, inFeatures);
      const dtype = weights.dtype ?? 'bf16';
      const bias = tensors.sumBias ? undefined : packBiases(weights, name, parts, hasBias);
      const added = bias && !quant.desc.startsWith('W8A8') ? { ...bias, isIntegerBias: true as const } : bias;
      const channels = isInputSorted ? undefined : tensors.channels;
      if (isInputSorted && adapters && tensors.channels) refuseSorted(weights.path(name));
      return new Linear(weights.path(name), quant.desc, dtype, quant.groupSize, {
        ...tensors,
        channels,
        bias: added,
        adapters,
      });
    }
    const bias = packBiases(weights, name, parts, hasBias);
    const weight = packParts(weights, name, parts, {
      suffix: 'weight',
      columns: inFeatures,
      isTransposable: true,
      isScalable: true,
    });
    const { dtype } = weight;
    if (!isFloat(dtype)) {
      throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', {
        name: weight.name,
        file: weight.parts[0]?.file ?? 'the checkpoint',
        found: dtype,
        supported: Object.keys(DESC_OF_DTYPE),
      });
    }
    return new Linear(weights.path(name), DESC_OF_DTYPE[dtype], weights.dtype ?? dtype, 0, {
      weight,
      bias,
      adapters,
    });
  }

  /** The same linear, to which nothing is added. */
  get unadapted(): Linear {
    return new Linear(this.name, this.desc, this.dtype, this.groupSize, { ...this, adapters: undefined });
  }

  get hasBias(): boolean {
    return this.bias !== undefined;
  }

  /** Whether a weight of integers has offsets that are not all zero. */
  get hasOffset(): boolean {
    return this.offset?.quantized?.role === 'offset' && !this.offset.quantized.isZero;
  }

  get isFloat(): boolean {
    return this.scale === undefined;
  }

  get outFeatures(): number {
    return this.weight.shape[0] ?? 0;
  }

  /** Names in the order in which a Linear operation reads them. */
  weightNames(): string[] {
    return this.#operands().map((weight) => weight.name);
  }

  getWeights(): TensorRef[] {
    const ofInput = [this.divisors, this.channels, this.inputScale, this.inputOffset];
    const ofAdapters = (this.adapters?.adapters ?? []).flatMap(({ down, ups }) => [down, ...ups]);
    const others = [...ofInput, this.sumBias, ...ofAdapters].filter((ref) => ref !== undefined);
    return [...this.#operands(), ...others];
  }

  /** weight, (scale, (offset)), (bias). */
  #operands(): TensorRef[] {
    return [this.weight, this.scale, this.offset, this.bias].filter((ref) => ref !== undefined);
  }
}

/** The order in which a projection reads its input, where it has one: rows that make this input can have it already. */
export const channelsOf = (weights: Weights, name: string): Int32Array | undefined =>
  weights.quantOf(name, 'projection')?.channels;

/** Rows that were sorted for the integers are not what an adapter reads. */
function refuseSorted(name: string): never {
  throw new AtbError('WEIGHT_CHANGE_INVALID', {
    name,
    change: 'an adapter',
    expected: 'integers whose channels lie as those of its input',
    found: 'channels that GPTQ has sorted',
  });
}

/** What packed parts must agree on. */
function describeQuant(quant: LinearQuant | undefined): string {
  if (quant === undefined) return 'FLOAT';
  const { desc, groupSize, channels, input } = quant;
  const order = channels ? ` in the order ${channels.subarray(0, 4)}…` : '';
  return `${desc}/${groupSize}${order}${input ? ` of inputs / ${input.scale} + ${input.offset}` : ''}`;
}

const sameChannels = (a: LinearQuant | undefined, b: LinearQuant | undefined): boolean =>
  a?.channels?.join() === b?.channels?.join();

/** How the parts are stored; undefined for floats. Parts that are stored in different ways cannot be packed. */
function commonQuant(
  weights: Weights,
  name: string,
  parts: readonly LinearPart[],
  role: LinearRole,
): [QuantizedPart, ...QuantizedPart[]] | undefined {
  const quants = parts.map((part) => weights.quantOf(part.name, role));
  const shown = quants.map(describeQuant);
  if (new Set(shown).size > 1 || !quants.every((quant) => sameChannels(quant, quants[0]))) {
    const found = parts.map((part, index) => `${part.name} ${shown[index]}`);
    throw new AtbError('WEIGHT_QUANT_MIXED', { name: weights.path(name), found });
  }
  const [first, ...others] = parts.flatMap((part, index) => {
    const quant = quants[index];
    return quant ? [{ part, quant }] : [];
  });
  return first && [first, ...others];
}
