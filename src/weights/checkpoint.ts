import { join, resolve } from 'node:path';
import { describeValue } from '../describe-value.js';
import { type FloatDType, isFloat } from '../dtype.js';
import { AtbError } from '../errors.js';
import { PATH, requireArgument } from '../require-argument.js';
import type { Adapter } from './adapter.js';
import {
  describeMissing,
  exists,
  filesWithoutIndex,
  INDEX_FILE,
  isOfMistral,
  openAdapters,
  SINGLE_FILE,
} from './checkpoint-files.js';
import { ENGINE_DTYPE } from './engine-dtypes.js';
import { foreignMethod } from './formats/foreign.js';
import type { CheckpointTensor, OpenFormat, StoredLinear } from './formats/format.js';
import { openFormat, quantisationOf, refuseQuantizingAgain } from './formats/index.js';
import { openGguf } from './gguf/checkpoint-file.js';
import { isGgufPath } from './gguf/model-file.js';
import { type LoraFolder, openLora } from './lora-file.js';
import { mergeTensors, type NamedFile, type RepeatedTensor } from './merge-tensors.js';
import { remedyOf } from './missing-weight.js';
import type { LinearQuant, LinearRole } from './quantization.js';
import { readTensor } from './read-tensor.js';
import { checkUnchanged, type FileStamp, followAllowed, type LinkOptions } from './regular-file.js';
import { requireOpenOptions, requireParts } from './require-weights.js';
import { openSafetensors, type SafetensorsFile } from './safetensors-file.js';
import { missingShard, readShardIndex, type ShardIndex } from './shard-index.js';
import { StoredNames } from './stored-names.js';
import { type RunNumbers, renamed, type TensorRef, type WeightSource, Weights } from './weights.js';

export type { CheckpointTensor } from './formats/format.js';

export interface CheckpointOptions extends LinkOptions {
  /** config.json, which may say how the weights are quantised. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /** LoRA adapters to read beside the weights; none when absent. */
  readonly adapters?: readonly LoraFolder[] | undefined;
  /** Told once of each thing in the files that somebody may have meant otherwise. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

interface CheckpointParts {
  readonly directory: string;
  readonly files: readonly NamedFile[];
  readonly index?: ShardIndex;
  readonly adapters?: readonly Adapter[];
  readonly onWarning?: CheckpointOptions['onWarning'];
}

/**
 * The weights of a model directory in Hugging Face's form: one `model.safetensors`, or several files and their index,
 * which may be missing where their names tell; or one `consolidated.safetensors` whose names are Hugging Face's; and
 * adapters; or a GGUF file. Only headers are read; the engine reads the data, once, from the places that `TensorRef.parts` name.
 */
export class Checkpoint implements WeightSource {
  /** The model directory; the file itself for one opened with `openFile`. */
  readonly directory: string;
  readonly files: readonly SafetensorsFile[];
  /** Every tensor by its name in the files. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  #format: OpenFormat | undefined;
  readonly #names: StoredNames;
  readonly #index: ShardIndex | undefined;
  /** Tensors that several files hold. */
  readonly #repeated: ReadonlyMap<string, RepeatedTensor>;
  #saysRepeated = false;
  readonly #stamps: readonly FileStamp[];
  readonly #onWarning: (text: string) => void;
  /** LoRA adapters whose tensors are among those of the files. */
  readonly adapters: readonly Adapter[];

  private constructor(parts: CheckpointParts) {
    const { directory, files, index, adapters = [], onWarning = () => {} } = requireParts(parts);
    this.directory = directory;
    this.files = files.map(({ file }) => file);
    const { tensors, repeated, aliases } = mergeTensors(files, index);
    this.tensors = tensors;
    this.#names = new StoredNames(tensors.keys(), aliases);
    this.#index = index;
    this.adapters = adapters;
    this.#repeated = repeated;
    this.#stamps = [index, ...this.files].flatMap((read) => (read ? [read.stamp] : []));
    this.#onWarning = onWarning;
  }

  /**
   * Opens and checks all headers, and what says how the weights are quantised. Where the index and the files disagree,
   * the files say what there is, as with transformers: a tensor that no model asks for matters to nobody.
   * Throws WEIGHT_CHECKPOINT_* when the directory has no such weights, WEIGHT_INDEX_* for a broken index,
   * WEIGHT_SHARD_MISSING, WEIGHT_FILE_* when a file is not what it should be, and WEIGHT_QUANT_*.
   */
  static async open(modelDirectory: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
    requireArgument('Checkpoint.open', 'modelDirectory', PATH, modelDirectory);
    requireOpenOptions(options);
    const checkpoint = await Checkpoint.#openFiles(resolve(modelDirectory), options);
    await checkpoint.#openFormat(options);
    return checkpoint;
  }

  static async #openFiles(directory: string, options: CheckpointOptions): Promise<Checkpoint> {
    const { onWarning, adapters = [] } = options;
    const open = async (name: string): Promise<NamedFile> => {
      const path = await followAllowed(join(directory, name), options);
      return { name, file: await openSafetensors(path, directory) };
    };
    const loras = await Promise.all(adapters.map((adapter) => openLora(adapter, options)));
    const made = { directory, adapters, onWarning };
    if (isGgufPath(directory))
      return new Checkpoint({ ...made, files: [...(await openGguf(directory)), ...loras] });
    const beside = [...(await openAdapters(directory, options.config, open)), ...loras];
    if (await exists(join(directory, SINGLE_FILE)))
      return new Checkpoint({ ...made, files: [await open(SINGLE_FILE), ...beside] });
    if (!(await exists(join(directory, INDEX_FILE)))) {
      const files = await Promise.all((await filesWithoutIndex(directory)).map(open));
      const names = files.flatMap(({ file }) => [...file.tensors.keys()]);
      if (names.length === 0 || isOfMistral(names)) throw await describeMissing(directory);
      return new Checkpoint({ ...made, files: [...files, ...beside] });
    }
    const index = await readShardIndex(await followAllowed(join(directory, INDEX_FILE), options), directory);
    const files: NamedFile[] = [];
    for (const shard of index.shards) {
      if (!(await exists(join(directory, shard)))) throw missingShard(index, shard);
      files.push(await open(shard));
    }
    return new Checkpoint({ ...made, files: [...files, ...beside], index });
  }

  /** Any one safetensors file as a checkpoint of its own. Throws WEIGHT_FILE_*. */
  static async openFile(path: string): Promise<Checkpoint> {
    requireArgument('Checkpoint.openFile', 'path', PATH, path);
    const file = await openSafetensors(resolve(path));
    return new Checkpoint({ directory: file.path, files: [{ name: file.path, file }] });
  }

  async #openFormat({ config = {}, allowLinks }: CheckpointOptions): Promise<void> {
    this.#format = await openFormat({
      directory: this.directory,
      links: { allowLinks },
      ...quantisationOf(config),
      tensors: this.tensors,
      read: (name) => readTensor(this.find(name) as TensorRef),
    });
    const { method, notes = [] } = this.#format ?? {};
    for (const note of notes) this.#onWarning(`${method}: ${note}`);
  }

  get label(): string {
    return this.directory;
  }

  /** How the weights are quantised; undefined for floats. */
  get format(): OpenFormat | undefined {
    return this.#format;
  }

  /** The dtype of the first tensor of floats that a model reads; undefined where the engine reads none. */
  get floatDType(): FloatDType | undefined {
    for (const [name, { dtype }] of this.tensors) {
      const found = ENGINE_DTYPE.get(dtype);
      if (found !== undefined && isFloat(found) && !this.#format?.isSpare?.(name)) return found;
    }
    return undefined;
  }

  /** Bytes of all tensors. */
  get totalBytes(): number {
    let sum = 0;
    for (const { bytes } of this.tensors.values()) sum += bytes;
    return sum;
  }

  /**
   * A cursor at the root of the tensors' names, for a model that runs in these numbers. Throws WEIGHT_QUANT_AGAIN when
   * the checkpoint is quantised already and the run would quantise it again. `otherNames`: weights to be read under
   * other names than the model's.
   */
  weights(numbers: RunNumbers = {}, otherNames: ReadonlyMap<string, string> = new Map()): Weights {
    if (numbers.quantization && this.#format) refuseQuantizingAgain(this.#format);
    return new Weights(otherNames.size === 0 ? this : renamed(this, otherNames), '', numbers);
  }

  /** Throws WEIGHT_QUANT_* for what this engine lacks. */
  quantOf(linear: string, role: LinearRole): LinearQuant | undefined {
    return this.#format?.quantOf(this.#storedLinear(linear), role);
  }

  #storedLinear(linear: string): StoredLinear {
    const tensor = (suffix: string): CheckpointTensor | undefined => this.stored(`${linear}.${suffix}`);
    const suffix = LINEAR_SUFFIXES.find((known) => this.has(`${linear}.${known}`)) ?? 'weight';
    const found = this.#nameOf(`${linear}.${suffix}`);
    return { name: found.slice(0, found.lastIndexOf('.')), tensor };
  }

  #nameOf(asked: string): string {
    const found = this.#names.find(asked) ?? asked;
    return this.#format?.otherNames?.get(found) ?? found;
  }

  has(name: string): boolean {
    return this.tensors.has(this.#nameOf(name));
  }

  /** The tensor that the files hold for a name, be it under another one. */
  stored(name: string): CheckpointTensor | undefined {
    return this.tensors.get(this.#nameOf(name));
  }

  /**
   * Throws WEIGHT_DTYPE_UNSUPPORTED; WEIGHT_QUANT_METHOD for what another tool has quantised; WEIGHT_SHARD_LACKS_TENSOR
   * and WEIGHT_SHARD_TENSOR_TWICE where the index does not say which file holds the tensor.
   */
  find(name: string, expected?: readonly number[]): TensorRef | undefined {
    const found = this.stored(name);
    this.#refuseForeign(name, found, expected);
    if (found === undefined) {
      const shard = this.#index?.shardOf.get(name);
      if (this.#index === undefined || shard === undefined) return undefined;
      throw new AtbError('WEIGHT_SHARD_LACKS_TENSOR', { file: this.#index.path, shard, tensor: name });
    }
    this.#settleRepeated(this.#nameOf(name));
    const { file, offset, shape } = found;
    const coded = this.#format?.coded?.(this.#nameOf(name));
    if (coded) return { name, ...coded, parts: coded.parts ?? [{ file, offset, ...coded }] };
    const dtype = ENGINE_DTYPE.get(found.dtype);
    if (dtype === undefined)
      throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', {
        name,
        file,
        found: found.dtype,
        supported: [...ENGINE_DTYPE.keys()],
      });
    const doubles = found.dtype === 'F64' && { doubles: true };
    return { name, dtype, shape, parts: [{ file, offset, dtype, shape, ...doubles }] };
  }

  /** @throws WEIGHT_QUANT_METHOD when the tensor cannot be read as it is, and another tool's tensors say why */
  #refuseForeign(name: string, found: CheckpointTensor | undefined, expected?: readonly number[]): void {
    const linear = /^(.+)\.weight$/.exec(name)?.[1];
    if (linear === undefined || this.#format?.coded?.(this.#nameOf(name))) return;
    const isAsExpected =
      expected?.length === found?.shape.length &&
      expected?.every((size, axis) => size === found?.shape[axis]);
    if (isAsExpected && isFloat(ENGINE_DTYPE.get(found?.dtype ?? '') ?? 'u8')) return;
    const method = foreignMethod(
      {
        has: (suffix) => this.has(`${linear}.${suffix}`),
        shape: (suffix) => this.stored(`${linear}.${suffix}`)?.shape,
        weightDtype: found?.dtype,
      },
      expected?.[1],
    );
    if (method !== undefined && !this.quantOf(linear, 'projection'))
      throw new AtbError('WEIGHT_QUANT_METHOD', { name, where: this.directory, method });
  }

  /** Of a tensor in several files, the index says which one is meant. */
  #settleRepeated(tensor: string): void {
    const repeated = this.#repeated.get(tensor);
    if (repeated === undefined) return;
    const { files, placedIn } = repeated;
    if (placedIn === undefined)
      throw new AtbError('WEIGHT_SHARD_TENSOR_TWICE', { file: this.directory, tensor, shards: files });
    if (this.#saysRepeated) return;
    this.#saysRepeated = true;
    const others = files.filter((file) => file !== placedIn).map(describeValue);
    const all = this.#repeated.size === 1 ? '' : `, as are ${this.#repeated.size - 1} other tensors`;
    this.#onWarning(
      `tensor ${describeValue(tensor)} is read from ${describeValue(placedIn)}, where the index places it, and is also in ${others.join(', ')}${all}`,
    );
  }

  /** A tensor whose name is the same but for its prefix. */
  nearest(name: string): string | undefined {
    return this.#names.nearest(name);
  }

  remedy(name: string): string | undefined {
    return remedyOf(name, new Set(this.tensors.keys()), this.nearest(name));
  }

  /**
   * Throws WEIGHT_FILE_CHANGED when a file was replaced, written or removed since `open`. Call it after the engine has
   * read the weights: then what was read is what was checked.
   */
  async checkUnchanged(): Promise<void> {
    for (const stamp of this.stamps) await checkUnchanged(stamp);
  }

  /** Of every file that says what the weights are, as it was when it was opened. */
  get stamps(): readonly FileStamp[] {
    return [...this.#stamps, ...(this.#format?.stamps ?? [])];
  }
}

/** Tensors by one of which the files name every linear. */
const LINEAR_SUFFIXES = ['weight', 'qweight', 'weight_packed'] as const;
