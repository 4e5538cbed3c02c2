import { refuseRequest } from '../errors.js';
import type { IntegerForm } from '../native/binding.js';
import type { NamedTensors, TensorRef } from './tensor-ref.js';

/** What a float checkpoint can be quantised to while it is loaded, by MindIE's names. */
export const QUANTIZE_MODES = ['w8a16', 'w8a8_dynamic', 'w4a16', 'w4a8_dynamic'] as const;
export type QuantizeMode = (typeof QUANTIZE_MODES)[number];

/** The modes whose integers have 4 bits: input channels share scales in groups. */
export const FOUR_BIT_MODES: readonly QuantizeMode[] = ['w4a16', 'w4a8_dynamic'];

/** Input channels that may share a scale in these. */
export const GROUP_SIZES = [32, 64, 128] as const;
export const DEFAULT_GROUP_SIZE = 64;

/** How the integers of a linear are multiplied; MindIE's names of LinearTypeV2. */
export type IntegerDesc = 'W8A16' | 'W8A8' | 'W8A8_DYNAMIC' | 'W4A16' | 'W4A8_DYNAMIC';
/** Our extension: floats of 8 bits (e4m3) and of 4 bits (e2m1), which become floats where they are multiplied. */
export type SmallFloatDesc = 'FP8' | 'FP4';
export type QuantDesc = IntegerDesc | SmallFloatDesc;
export const QUANT_DESCS: readonly IntegerDesc[] = ['W8A16', 'W8A8', 'W8A8_DYNAMIC', 'W4A16', 'W4A8_DYNAMIC'];

const FORM_OF_DESC: Readonly<Record<QuantDesc, Omit<IntegerForm, 'groupSize'>>> = {
  W8A16: { bits: 8, activations: 'float' },
  W8A8: { bits: 8, activations: 'int8' },
  W8A8_DYNAMIC: { bits: 8, activations: 'int8' },
  W4A16: { bits: 4, activations: 'float' },
  W4A8_DYNAMIC: { bits: 4, activations: 'int8' },
  FP8: { bits: 8, activations: 'float', numbers: 'floats' },
  FP4: { bits: 4, activations: 'float', numbers: 'floats' },
};

/** What the engine calls the integers of a linear. */
export const integerForm = ({ desc, groupSize }: QuantForm): IntegerForm => ({
  ...FORM_OF_DESC[desc],
  groupSize,
});

/** MindIE's name of integers, ours of small floats: the inverse of `integerForm`. `isStatic`: inputs have one scale. */
export function quantDesc({
  bits,
  numbers,
  activations,
  isStatic = false,
}: IntegerForm & { readonly isStatic?: boolean }): QuantDesc {
  if (numbers === 'floats') return bits === 8 ? 'FP8' : 'FP4';
  if (bits === 4) return activations === 'int8' ? 'W4A8_DYNAMIC' : 'W4A16';
  if (activations === 'int8') return isStatic ? 'W8A8' : 'W8A8_DYNAMIC';
  return 'W8A16';
}

/**
 * What a linear is to its model: one of the products inside layers; the one that makes logits; or gates of few numbers that
 * decide how long a state remembers, which stay floats where a run makes integers.
 */
export type LinearRole = 'projection' | 'head' | 'gates';

/** How a linear's integers are multiplied, and how many input channels share a scale; 0: all of an output channel. */
export interface QuantForm {
  readonly desc: QuantDesc;
  readonly groupSize: number;
}

/** How the inputs of a linear become int8, where that was decided beforehand. */
export interface StaticInput {
  /** Above 0. */
  readonly scale: number;
  /** A whole number from -128 to 127. */
  readonly offset: number;
}

/** How one linear is made of integers. */
export interface LinearQuant extends QuantForm {
  /** Input i of the stored rows is input channels[i] of the linear, where they are sorted by groups. [inFeatures] */
  readonly channels?: Int32Array | undefined;
  /** Of W8A8: every input x becomes round(x / scale + offset), int8. */
  readonly input?: StaticInput;
  /** Reads the integers out of the files; absent where these hold floats, which the engine quantises while it packs them. */
  readonly rows?: RowReader;
}

/** A linear of the files, with what its model knows of it. */
export interface LinearToRead {
  /** Without the prefix of the weights. */
  readonly name: string;
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** The model has it as [inFeatures, outFeatures], as GPT-2's Conv1D. */
  readonly transposed: boolean;
}

/** The tensors of a linear, a row for each output, whatever way round its files have them. */
export interface LinearRows {
  /** [n, k] integers or words of integers, or [n, k / 2] with two 4-bit integers in each byte, the first in the low half. */
  readonly weight: TensorRef;
  /** [n, groups]: w is about integer * scale. */
  readonly scale: TensorRef;
  /** [n, groups] whole numbers, where the quantisation has them: w is about scale * (integer + offset). */
  readonly offset?: TensorRef | undefined;
  /** [n, groups] in place of offsets: w is scale * integer - minimum, where integers of 4 bits count from 0 to 15. */
  readonly minimum?: TensorRef | undefined;
  /** i32 [n]: what is added to the sums of W8A8 before they are scaled: it has the linear's bias and what offsets cost. */
  readonly sumBias?: TensorRef | undefined;
  /** [k]: the product's input is divided by these. */
  readonly divisors?: TensorRef | undefined;
  /** [n, groups] of what other tools write beside symmetric integers: all of them must be zero. */
  readonly mustBeZero?: TensorRef | readonly TensorRef[] | undefined;
}

/**
 * Reads all rows of a linear. What its model makes of them (a part of the rows, an order, a factor) is not its business.
 * Throws WEIGHT_*.
 */
export type RowReader = (weights: NamedTensors, linear: LinearToRead) => LinearRows;

/** Which linears are integers, by full name; undefined for floats. */
export type QuantizationPlan = (linear: string, role: LinearRole) => LinearQuant | undefined;

export interface QuantizeOptions {
  /** Quantises a float checkpoint while it is loaded. */
  readonly quantize?: QuantizeMode | undefined;
  /** With `w4a16` and `w4a8_dynamic`, of the head too: 32, 64 or 128; 64 when absent. */
  readonly quantGroupSize?: number | undefined;
  /** With `quantize`: what becomes of the matrix that makes logits; `w8a16` when absent. */
  readonly quantizeHead?: QuantizeMode | undefined;
}

const DESC_OF_MODE: Readonly<Record<QuantizeMode, QuantDesc>> = {
  w8a16: 'W8A16',
  w8a8_dynamic: 'W8A8_DYNAMIC',
  w4a16: 'W4A16',
  w4a8_dynamic: 'W4A8_DYNAMIC',
};

/**
 * What the options make of a float checkpoint: every projection in the wanted form. The head has 8 bits per channel, its
 * input as it is, unless it is asked for otherwise: its errors reach the logits undamped.
 * Throws REQUEST_INVALID.
 */
export function quantizationPlan({
  quantize,
  quantGroupSize,
  quantizeHead,
}: QuantizeOptions): QuantizationPlan | undefined {
  for (const [field, mode] of Object.entries({ quantize, quantize_head: quantizeHead }))
    if (mode !== undefined && !QUANTIZE_MODES.includes(mode))
      refuseRequest(field, `one of ${QUANTIZE_MODES.join(', ')}`, mode);
  if (quantGroupSize !== undefined && ![quantize, quantizeHead].some((mode) => mode && hasGroups(mode)))
    refuseRequest(
      'quant_group_size',
      `used together with quantize ${FOUR_BIT_MODES.join(' or ')}`,
      quantGroupSize,
    );
  if (quantizeHead !== undefined && quantize === undefined)
    refuseRequest('quantize_head', 'used together with quantize', quantizeHead);
  if (quantize === undefined) return undefined;
  const size = quantGroupSize ?? DEFAULT_GROUP_SIZE;
  if (!GROUP_SIZES.some((known) => known === size))
    refuseRequest('quant_group_size', `one of ${GROUP_SIZES.join(', ')}`, size);
  const quantOf = (mode: QuantizeMode): LinearQuant => ({
    desc: DESC_OF_MODE[mode],
    groupSize: hasGroups(mode) ? size : 0,
  });
  const [projection, head] = [quantOf(quantize), quantOf(quantizeHead ?? 'w8a16')];
  return (_, role) => ({ projection, head, gates: undefined })[role];
}

const hasGroups = (mode: QuantizeMode): boolean => FOUR_BIT_MODES.includes(mode);

/**
 * The name by which an RMSNorm asks for the bias that smoothing gave it. No file has it: a format names the tensor that is
 * meant, so that a bias of an unknown meaning stays unread.
 */
export const SMOOTHING_BIAS = 'smoothing_bias';
