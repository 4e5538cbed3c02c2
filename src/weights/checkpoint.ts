import { join, resolve } from 'node:path';
import { describeValue } from '../describe-value.js';
import { type DType, type FloatDType, isFloat } from '../dtype.js';
import { AtbError } from '../errors.js';
import { describeMissing, exists, INDEX_FILE, SINGLE_FILE } from './checkpoint-files.js';
import { foreignMethod } from './foreign-quantization.js';
import { remedyOf } from './missing-weight.js';
import { type QuantDescription, readQuantDescription } from './quant-description.js';
import type { LinearQuant } from './quantization.js';
import { checkUnchanged, type FileStamp, followAllowed, type LinkOptions } from './regular-file.js';
import { openSafetensors, type SafetensorsFile, type StoredTensor } from './safetensors-file.js';
import { readShardIndex, type ShardIndex } from './shard-index.js';
import { StoredNames } from './stored-names.js';
import { type RunNumbers, renamed, type TensorRef, type WeightSource, Weights } from './weights.js';

/** The element types that the engine reads, by the names that the safetensors format gives them. */
const ENGINE_DTYPE: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['BF16', 'bf16'],
  ['F16', 'f16'],
  ['F32', 'f32'],
  ['I8', 'i8'],
  ['U8', 'u8'],
  ['BOOL', 'u8'],
  ['I32', 'i32'],
  ['I64', 'i64'],
]);

/** A tensor and the file that holds it. */
export interface CheckpointTensor extends StoredTensor {
  readonly file: string;
}

export interface CheckpointOptions extends LinkOptions {
  /** Told once of each thing in the files that somebody may have meant otherwise. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** A file of the checkpoint and its name in the directory, which may be a link's. */
interface NamedFile {
  readonly name: string;
  readonly file: SafetensorsFile;
}

interface CheckpointParts {
  readonly directory: string;
  readonly files: readonly NamedFile[];
  readonly index?: ShardIndex;
  readonly description?: QuantDescription | undefined;
  readonly onWarning?: CheckpointOptions['onWarning'];
}

/**
 * The weights of a model directory in Hugging Face's form: one `model.safetensors`, or several files and their index.
 * Only headers are read; the engine reads the data, once, from the places that `TensorRef.parts` name.
 */
export class Checkpoint implements WeightSource {
  /** The model directory; the file itself for one opened with `openFile`. */
  readonly directory: string;
  readonly files: readonly SafetensorsFile[];
  /** Every tensor by its name in the files. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** How the tensors of a quantised checkpoint are stored. */
  readonly quantDescription: QuantDescription | undefined;
  readonly #names: StoredNames;
  readonly #index: ShardIndex | undefined;
  /** Tensors that several files hold. */
  readonly #repeated: ReadonlyMap<string, RepeatedTensor>;
  #saysRepeated = false;
  readonly #stamps: readonly FileStamp[];
  readonly #onWarning: (text: string) => void;

  private constructor({ directory, files, index, description, onWarning = () => {} }: CheckpointParts) {
    this.directory = directory;
    this.files = files.map(({ file }) => file);
    const { tensors, repeated } = mergeTensors(files, index);
    this.tensors = tensors;
    this.quantDescription = description;
    this.#names = new StoredNames(tensors.keys());
    this.#index = index;
    this.#repeated = repeated;
    this.#stamps = [index, ...this.files, description].flatMap((read) => (read ? [read.stamp] : []));
    this.#onWarning = onWarning;
  }

  /**
   * Opens and checks all headers, and the description of a quantised checkpoint. Where the index and the files disagree,
   * the files say what there is, as with transformers: a tensor that no model asks for matters to nobody.
   * Throws WEIGHT_CHECKPOINT_* when the directory has no such weights, WEIGHT_INDEX_* for a broken index,
   * WEIGHT_SHARD_MISSING, and WEIGHT_FILE_* when a file is not what it should be.
   */
  static async open(modelDirectory: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
    const { onWarning } = options;
    const directory = resolve(modelDirectory);
    const description = await readQuantDescription(directory, options);
    const open = async (name: string): Promise<NamedFile> => {
      const path = await followAllowed(join(directory, name), options);
      return { name, file: await openSafetensors(path, directory) };
    };
    if (await exists(join(directory, SINGLE_FILE))) {
      return new Checkpoint({ directory, files: [await open(SINGLE_FILE)], description, onWarning });
    }
    if (!(await exists(join(directory, INDEX_FILE)))) throw await describeMissing(directory);
    const index = await readShardIndex(await followAllowed(join(directory, INDEX_FILE), options), directory);
    const files: NamedFile[] = [];
    for (const shard of index.shards) {
      if (!(await exists(join(directory, shard)))) throw missingShard(index, shard);
      files.push(await open(shard));
    }
    return new Checkpoint({ directory, files, index, description, onWarning });
  }

  /** Any one safetensors file as a checkpoint of its own. Throws WEIGHT_FILE_*. */
  static async openFile(path: string): Promise<Checkpoint> {
    const file = await openSafetensors(resolve(path));
    return new Checkpoint({ directory: file.path, files: [{ name: file.path, file }] });
  }

  get label(): string {
    return this.directory;
  }

  /** The dtype of the first tensor of floats; undefined where the engine reads none. */
  get floatDType(): FloatDType | undefined {
    for (const { dtype } of this.tensors.values()) {
      const found = ENGINE_DTYPE.get(dtype);
      if (found !== undefined && isFloat(found)) return found;
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
    if (numbers.quantization && this.quantDescription) {
      const { file, modelType = 'nothing' } = this.quantDescription;
      throw new AtbError('WEIGHT_QUANT_AGAIN', { file, found: modelType });
    }
    return new Weights(otherNames.size === 0 ? this : renamed(this, otherNames), '', numbers);
  }

  /** Throws WEIGHT_QUANT_TYPE for what this engine lacks. */
  quantOf(linear: string): LinearQuant | undefined {
    const stored = this.#names.find(`${linear}.weight`);
    return this.quantDescription?.quantOf(stored?.replace(/\.weight$/, '') ?? linear);
  }

  has(name: string): boolean {
    return this.#names.find(name) !== undefined;
  }

  /** The tensor that the files hold for a name, be it under another one. */
  stored(name: string): CheckpointTensor | undefined {
    return this.tensors.get(this.#names.find(name) ?? name);
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
    this.#settleRepeated(this.#names.find(name) ?? name);
    const { file, offset, shape } = found;
    const dtype = ENGINE_DTYPE.get(found.dtype);
    if (dtype === undefined) {
      throw new AtbError('WEIGHT_DTYPE_UNSUPPORTED', {
        name,
        file,
        found: found.dtype,
        supported: [...ENGINE_DTYPE.keys()],
      });
    }
    return { name, dtype, shape, parts: [{ file, offset, dtype, shape }] };
  }

  /** @throws WEIGHT_QUANT_METHOD when the tensor cannot be read as it is, and another tool's tensors say why */
  #refuseForeign(name: string, found: CheckpointTensor | undefined, expected?: readonly number[]): void {
    const linear = /^(.+)\.weight$/.exec(name)?.[1];
    if (linear === undefined || this.quantOf(linear)) return;
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
    if (method !== undefined)
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

  /**
   * A tensor whose name is the same but for its prefix. A model that was saved without its head, or inside another model,
   * has the same tensors under names that begin otherwise.
   */
  nearest(name: string): string | undefined {
    for (const known of this.tensors.keys()) {
      if (known.endsWith(`.${name}`) || name.endsWith(`.${known}`)) return known;
    }
    return undefined;
  }

  remedy(name: string): string | undefined {
    return remedyOf(name, new Set(this.tensors.keys()), this.nearest(name));
  }

  /**
   * Throws WEIGHT_FILE_CHANGED when a file was replaced, written or removed since `open`. Call it after the engine has
   * read the weights: then what was read is what was checked.
   */
  async checkUnchanged(): Promise<void> {
    for (const stamp of this.#stamps) await checkUnchanged(stamp);
  }
}

interface RepeatedTensor {
  readonly files: string[];
  /** The one of these files where the index places it. */
  placedIn: string | undefined;
}

/** Every tensor once. Of one that several files hold, the file where the index places it counts. */
function mergeTensors(
  files: readonly NamedFile[],
  index: ShardIndex | undefined,
): {
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly repeated: ReadonlyMap<string, RepeatedTensor>;
} {
  const tensors = new Map<string, CheckpointTensor>();
  const repeated = new Map<string, RepeatedTensor>();
  const isPlaced = (name: string, shard: string): boolean => index?.shardOf.get(name) === shard;
  for (const { name: shard, file } of files) {
    for (const [name, tensor] of file.tensors) {
      const first = tensors.get(name);
      if (first === undefined || isPlaced(name, shard)) tensors.set(name, { ...tensor, file: file.path });
      if (first === undefined) continue;
      const known = repeated.get(name) ?? { files: [first.file], placedIn: undefined };
      known.files.push(file.path);
      repeated.set(name, known);
    }
  }
  for (const { name: shard, file } of files) {
    for (const [name, known] of repeated)
      if (isPlaced(name, shard) && file.tensors.has(name)) known.placedIn = file.path;
  }
  return { tensors, repeated };
}

function missingShard(index: ShardIndex, shard: string): AtbError {
  const tensors = [...index.shardOf.values()].filter((name) => name === shard).length;
  return new AtbError('WEIGHT_SHARD_MISSING', { file: index.path, shard, tensors });
}
