import type { FloatDType, Tensor } from '../../dtype.js';
import type { FilePart, WeightPart } from '../../native/binding.js';
import type { LinearQuant, LinearRole } from '../quantization.js';
import type { FileStamp, LinkOptions } from '../regular-file.js';
import type { StoredTensor } from '../safetensors-file.js';

/** A tensor and the file that holds it. */
export interface CheckpointTensor extends StoredTensor {
  readonly file: string;
}

/** What a format may look at to see whether it is in charge of a checkpoint, and how. */
export interface FormatSource {
  /** The model directory. */
  readonly directory: string;
  readonly links: LinkOptions;
  /** What config.json says of quantisation; undefined when it says nothing. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  /**
   * Whether its text_config says it: then it is about a model of text within a larger one, and names the linears of that as
   * if it were alone. See `textLinear`.
   */
  readonly ofText?: boolean;
  /** Every tensor by its name in the files; undefined where only the configuration is looked at. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor> | undefined;
  /** Reads a small tensor, by its name in the files, while the checkpoint is opened. Throws WEIGHT_*. */
  read(name: string): Promise<Tensor>;
}

/** The name of a linear within the model of text of a larger one; undefined of one that is beside it. */
export const textLinear = (name: string): string | undefined =>
  /^(?:model\.)?language_model\.(.*)$/.exec(name)?.[1];

/** One linear as the files hold it. Its tensors are asked for without its name: `weight`, `qweight`, `weight_scale`. */
export interface StoredLinear {
  /** Its full name in the files, or as the model asks for it where the files have no such linear. */
  readonly name: string;
  /** Undefined where there is no such tensor, and where only the configuration is looked at. */
  tensor(suffix: string): CheckpointTensor | undefined;
}

/** Floats of which a tensor of the files holds something else, or that it holds otherwise: their shape, and what is read. */
export interface CodedTensor extends Pick<FilePart, 'codes' | 'blocks' | 'rowOrder' | 'plus'> {
  readonly dtype: FloatDType;
  readonly shape: readonly number[];
  /** What it is made of, where that is not the tensor of this name alone. */
  readonly parts?: readonly WeightPart[];
}

/** How the weights of one checkpoint are quantised. */
export interface OpenFormat {
  /** What messages and `inspect` call it: `gptq`, `W8A16`. */
  readonly method: string;
  /** The file that says so. */
  readonly file: string;
  /** Of files that only the format reads. */
  readonly stamps: readonly FileStamp[];
  /** What is computed otherwise than the files say, to be said once. */
  readonly notes?: readonly string[];
  /** How a linear is stored; undefined for floats. Throws WEIGHT_QUANT_* for what this engine does not read. */
  quantOf(linear: StoredLinear, role: LinearRole): LinearQuant | undefined;
  /** A run may make integers of its own of the numbers that the files stand for, in place of theirs. */
  readonly mayQuantize?: boolean;
  /** Tensors that are read in the place of others, by the names of those. */
  readonly otherNames?: ReadonlyMap<string, string>;
  /** What a tensor of the files stands for, where it becomes floats while it is read: by its name there. */
  coded?(tensor: string): CodedTensor | undefined;
  /** Whether a tensor of the files has nothing that a model must read: it was read here, or says nothing. */
  isSpare?(tensor: string): boolean;
}

/** A way in which quantised checkpoints are published. */
export interface QuantFormat {
  /** `quant_method` of config.json, which some tools have changed; none for a method that a file of its own declares. */
  readonly methods: readonly string[];
  /** How the checkpoint is quantised; undefined when this format is not in charge of it. Throws WEIGHT_QUANT_*. */
  open(source: FormatSource): Promise<OpenFormat | undefined>;
}

/** Whether config.json names a method of this format. */
export const isNamed = (
  { methods }: QuantFormat,
  config: FormatSource['config'],
): config is Readonly<Record<string, unknown>> => methods.some((known) => known === config?.quant_method);

/** What formats note of codes that are no integers. */
export const codesBecome = (numbers: string): string => `4-bit codes become ${numbers} while they are loaded`;

/** What they note of checkpoints with scales for a KV cache. */
export const FLOAT_CACHE =
  'keys and values stay floats, where it has scales for them; --kv_quant int8 makes integers of them';

/** What formats note of checkpoints whose activations were meant to be quantised in a way that is not computed here. */
export const FLOAT_ACTIVATIONS =
  'activations stay floats, where it says that they are quantised: results are closer to the float model';
