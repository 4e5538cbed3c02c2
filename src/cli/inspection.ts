import type { ErrorCode } from '../errors.js';
import type { BaseConfig } from '../layers/config/index.js';
import type { MemoryEstimate } from '../runner/estimate-memory.js';
import type { StoredForms } from '../runner/stored-forms.js';

/** How fast this machine reads memory, and so how many tokens one sequence may decode: a step reads every weight once. */
export interface SpeedEstimate {
  readonly readBytesPerSecond: number;
  readonly tokensPerSecond: number;
}

/** What a model directory holds and needs. Byte counts are exact for the files and estimates for memory. */
export interface Inspection {
  readonly directory: string;
  /** `model_type` and `architectures` of config.json. */
  readonly modelType: string | undefined;
  readonly architectures: readonly string[];
  /** The class that runs it; absent when none does. */
  readonly modelClass: string | undefined;
  /** The known model_type that resembles an unknown one. */
  readonly nearest: string | undefined;
  readonly config: Omit<BaseConfig, 'rope'> | undefined;
  readonly weights: WeightSummary | undefined;
  readonly memory: MemoryEstimate | undefined;
  /** What decoding may reach, where it was measured. */
  readonly speed?: SpeedEstimate;
  /** What and where the chat templates are; absent when they are broken. */
  readonly chatTemplates: readonly string[] | undefined;
  /** Undefined: it is among the problems. */
  readonly tokenizer: string | undefined;
  /** What references read in different ways, and how it is read here. */
  readonly warnings: readonly string[];
  /** Everything that is wrong with the checkpoint, or that this engine cannot do; none when it runs. */
  readonly problems: ReadonlyArray<{ readonly code: ErrorCode; readonly message: string }>;
}

export interface WeightSummary {
  readonly files: number;
  readonly tensors: number;
  readonly bytes: number;
  /** How a quantised checkpoint is stored, as it says itself. */
  readonly quantType?: string;
  /** What that means for the model's linears; absent when no model could be made. */
  readonly stored?: StoredForms;
  /** By the format's own names of the element types. */
  readonly dtypes: Readonly<Record<string, { readonly tensors: number; readonly bytes: number }>>;
  /** Other tensors that the model does not read; absent when no model could be made. */
  readonly unused: readonly string[] | undefined;
  /** Those of layers that guess further tokens, which are left out on purpose; absent when there are none. */
  readonly prediction?: { readonly tensors: readonly string[]; readonly bytes: number };
  /** Tensors some rows of which the model does not read. */
  readonly partlyRead?: readonly string[];
}
