import { totalmem } from 'node:os';
import type { FloatDType } from '../dtype.js';
import { refuseRequest } from '../errors.js';
import type { CausalLM } from '../router/index.js';
import { DEFAULT_DRAFT_TOKENS, MAX_CATCH_UP } from './draft-model.js';
import { blockSizeOf, kvBlockBytes } from './kv-block-bytes.js';
import { type ModelPlan, type OpenModelOptions, openModel } from './open-model.js';
import { isCount, requireOptions } from './options.js';
import { PlannedModel } from './planned-model.js';
import type { RunnerOptions } from './runner-options.js';

/** Contexts that people start with; the model's own limit where that is less. */
const DEFAULT_CONTEXT = 4096;
/** Tokens of a step, as `LLM` takes them. */
const DEFAULT_STEP_TOKENS = 512;
/** More sequences than this nobody runs on one machine. */
const MOST_SEQUENCES = 65_536;

export interface MemoryOptions
  extends Pick<RunnerOptions, 'threads' | 'isa' | 'blockSize' | 'passes' | 'nativePath'> {
  /** Tokens of each sequence, prompt and answer; 4096, or the model's context if that is less, when absent. */
  readonly context?: number | undefined;
  /** Sequences at once; 1 when absent. */
  readonly batch?: number | undefined;
  /** Tokens of a step, `maxNumBatchedTokens` of `LLM`; 512 when absent. */
  readonly stepTokens?: number | undefined;
  /** Bytes into which everything is to fit; those of the machine when absent. */
  readonly budgetBytes?: number | undefined;
}

/** A model as it is planned, and its layers. */
export interface PlannedLM {
  readonly plan: ModelPlan;
  readonly model: CausalLM;
}

/** Bytes that a model takes when it runs. */
export interface MemoryEstimate {
  /** Of weights and activations. */
  readonly dtype: FloatDType;
  /** What keys and values are stored as. */
  readonly cacheDType: FloatDType | 'i8';
  readonly context: number;
  readonly batch: number;
  /** Packed as the engine packs them. */
  readonly weightBytes: number;
  /** Tables of positions, which are made once. */
  readonly positionBytes: number;
  readonly kvBytesPerToken: number;
  /** Whole blocks of every sequence. */
  readonly cacheBytes: number;
  /** Of the largest step of any graph, as the engine plans it: graphs run one after another in the same memory. */
  readonly activationBytes: number;
  /** All of a draft model's, which has as many blocks in its cache; 0 without one. */
  readonly draftBytes: number;
  readonly totalBytes: number;
  readonly budgetBytes: number;
  /** Tokens of a sequence with which `batch` of them fit; 0: none does. */
  readonly longestContext: number;
  /** Sequences of `context` tokens that fit. */
  readonly largestBatch: number;
}

/**
 * What a model of a directory will take, from the headers of its files: no weights are read and nothing is allocated.
 * Beside it a process of Node.js takes some 100 MiB.
 * @throws ROUTER_*, CONFIG_*, WEIGHT_*, NATIVE_*, REQUEST_INVALID
 */
export async function estimateMemory(
  given: OpenModelOptions & MemoryOptions & { readonly draftModelPath?: string | undefined },
): Promise<MemoryEstimate> {
  requireOptions(given, 'MemoryOptions');
  const { draftModelPath, ...options } = given;
  const open = await openModel(options);
  const draft = draftModelPath === undefined ? undefined : await openModel({ modelPath: draftModelPath });
  return memoryOf({ plan: open, model: open.model }, options, draft && { plan: draft, model: draft.model });
}

/** The same of a model that is open, and of one that guesses for it. @throws NATIVE_*, REQUEST_INVALID */
export function memoryOf(
  { plan, model }: PlannedLM,
  options: MemoryOptions,
  draft?: PlannedLM | undefined,
): MemoryEstimate {
  const { maxPositionEmbeddings } = plan.config;
  const { context = Math.min(DEFAULT_CONTEXT, maxPositionEmbeddings), batch = 1 } = options;
  const {
    stepTokens = DEFAULT_STEP_TOKENS,
    blockSize = blockSizeOf(model, plan.cacheDType),
    budgetBytes = totalmem(),
  } = options;
  for (const [field, value] of Object.entries({ context, batch, stepTokens, blockSize }))
    if (!isCount(value)) refuseRequest(field, 'an integer >= 1', value);
  if (context > maxPositionEmbeddings)
    refuseRequest('context', `at most ${maxPositionEmbeddings}, the model's`, context);
  const guesses = draft ? DEFAULT_DRAFT_TOKENS : 0;
  const planned = new PlannedModel(plan, model, { ...options, blockSize, stepTokens, guesses });
  const guessing =
    draft && new PlannedModel(draft.plan, draft.model, { ...options, blockSize, stepTokens: MAX_CATCH_UP });
  const draftBytes = (length: number, sequences: number): number =>
    guessing?.totalBytes(Math.min(length, guessing.maxPositionEmbeddings), sequences, length) ?? 0;
  const totalBytes = (length: number, sequences: number): number =>
    planned.totalBytes(length, sequences) + draftBytes(length, sequences);
  const fits = (length: number, sequences: number): boolean => totalBytes(length, sequences) <= budgetBytes;
  const blocks = largest(Math.ceil(maxPositionEmbeddings / blockSize), (count) =>
    fits(Math.min(count * blockSize, maxPositionEmbeddings), batch),
  );
  return {
    dtype: plan.dtype,
    cacheDType: plan.cacheDType,
    context,
    batch,
    weightBytes: planned.weightBytes,
    positionBytes: planned.positionBytes(context, batch),
    kvBytesPerToken: kvBlockBytes(model.caches(), plan.cacheDType, blockSize) / blockSize,
    cacheBytes: planned.cacheBytes(context, batch),
    activationBytes: planned.activationBytes(context, batch),
    draftBytes: draftBytes(context, batch),
    totalBytes: totalBytes(context, batch),
    budgetBytes,
    longestContext: Math.min(blocks * blockSize, maxPositionEmbeddings),
    largestBatch: largest(MOST_SEQUENCES, (count) => fits(context, count)),
  };
}

/** The largest number up to `most` that holds, where all smaller ones do; 0 when none does. */
function largest(most: number, holds: (count: number) => boolean): number {
  let [low, high] = [0, 1];
  while (high <= most && holds(high)) [low, high] = [high, 2 * high];
  high = Math.min(high, most + 1);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}
