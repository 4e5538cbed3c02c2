import { lstat, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { DType } from '../dtype.js';
import { AtbError, describeValue } from '../errors.js';
import { type QuantDescription, readQuantDescription } from './quant-description.js';
import type { LinearQuant } from './quantization.js';
import { checkUnchanged, type FileStamp } from './regular-file.js';
import { openSafetensors, type SafetensorsFile, type StoredTensor } from './safetensors-file.js';
import { readShardIndex, type ShardIndex } from './shard-index.js';
import { type RunNumbers, type TensorRef, type WeightSource, Weights } from './weights.js';

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

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';
const RESAVE =
  'load it once with transformers and write it with `model.save_pretrained(folder, safe_serialization=True)`';

/** Files of other formats that a model directory may hold instead, and what the user can do about each. */
const FOREIGN_FORMATS: ReadonlyArray<readonly [pattern: RegExp, remedy: string]> = [
  [/^adapter_model\./, 'it is an adapter; the checkpoint of its base model is needed'],
  [
    /\.safetensors$/,
    `rename it to ${SINGLE_FILE} if it is the whole model; of several files, ${INDEX_FILE} is missing`,
  ],
  [/\.safetensors\.index\.json$/, `rename it to ${INDEX_FILE}, and fetch the files that it names`],
  [/\.gguf$/i, 'it is a conversion for another engine; use the Hugging Face checkpoint that it was made of'],
  [/\.(bin|pt|pth|ckpt)$/i, `pickled files can run code and are not read; ${RESAVE}`],
  [/\.(h5|msgpack|onnx|onnx_data)$/i, `this format is not read; ${RESAVE}`],
];

/** A tensor and the file that holds it. */
export interface CheckpointTensor extends StoredTensor {
  readonly file: string;
}

/**
 * The weights of a model directory in Hugging Face's form: one `model.safetensors`, or several files and their index.
 * Only headers are read; the engine reads the data, once, from the places that `TensorRef.parts` name.
 */
export class Checkpoint implements WeightSource {
  private constructor(
    /** The model directory; the file itself for one opened with `openFile`. */
    readonly directory: string,
    readonly files: readonly SafetensorsFile[],
    /** Every tensor by its name in the files. */
    readonly tensors: ReadonlyMap<string, CheckpointTensor>,
    private readonly stamps: readonly FileStamp[],
    /** How the tensors of a quantised checkpoint are stored. */
    readonly quantDescription?: QuantDescription,
  ) {}

  /**
   * Opens and checks all headers, and the description of a quantised checkpoint. Throws WEIGHT_CHECKPOINT_* when the
   * directory has no such weights, WEIGHT_INDEX_* and WEIGHT_SHARD_* when index and files disagree, WEIGHT_FILE_* when a
   * file is not what it should be.
   */
  static async open(modelDirectory: string): Promise<Checkpoint> {
    const directory = resolve(modelDirectory);
    const single = join(directory, SINGLE_FILE);
    const description = await readQuantDescription(directory);
    if (await exists(single)) {
      return Checkpoint.ofFile(await openSafetensors(single, directory), directory, description);
    }
    if (!(await exists(join(directory, INDEX_FILE)))) throw await describeMissing(directory);
    const index = await readShardIndex(join(directory, INDEX_FILE), directory);
    const files: SafetensorsFile[] = [];
    for (const shard of index.shards) {
      const path = join(directory, shard);
      if (!(await exists(path))) throw missingShard(index, shard);
      files.push(await openSafetensors(path, directory));
    }
    const tensors = mergeTensors(directory, files);
    checkAgreement(index, directory, tensors);
    const stamps = [index.stamp, ...files.map(({ stamp }) => stamp)];
    return new Checkpoint(directory, files, tensors, withStamp(stamps, description), description);
  }

  /** Any one safetensors file as a checkpoint of its own. Throws WEIGHT_FILE_*. */
  static async openFile(path: string): Promise<Checkpoint> {
    const file = await openSafetensors(resolve(path));
    return Checkpoint.ofFile(file, file.path);
  }

  private static ofFile(
    file: SafetensorsFile,
    directory: string,
    description?: QuantDescription,
  ): Checkpoint {
    const tensors = mergeTensors(directory, [file]);
    return new Checkpoint(directory, [file], tensors, withStamp([file.stamp], description), description);
  }

  get label(): string {
    return this.directory;
  }

  /** Bytes of all tensors. */
  get totalBytes(): number {
    let sum = 0;
    for (const { bytes } of this.tensors.values()) sum += bytes;
    return sum;
  }

  /**
   * A cursor at the root of the tensors' names, for a model that runs in these numbers. Throws WEIGHT_QUANT_AGAIN when
   * the checkpoint is quantised already and the run would quantise it again.
   */
  weights(numbers: RunNumbers = {}): Weights {
    if (numbers.quantization && this.quantDescription) {
      const { file, modelType = 'nothing' } = this.quantDescription;
      throw new AtbError('WEIGHT_QUANT_AGAIN', { file, found: modelType });
    }
    return new Weights(this, '', numbers);
  }

  quantOf(linear: string): LinearQuant | undefined {
    return this.quantDescription?.quantOf(linear);
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  find(name: string): TensorRef | undefined {
    const found = this.tensors.get(name);
    if (found === undefined) return undefined;
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

  /**
   * Throws WEIGHT_FILE_CHANGED when a file was replaced, written or removed since `open`. Call it after the engine has
   * read the weights: then what was read is what was checked.
   */
  async checkUnchanged(): Promise<void> {
    for (const stamp of this.stamps) await checkUnchanged(stamp);
  }
}

const withStamp = (stamps: readonly FileStamp[], description: QuantDescription | undefined): FileStamp[] =>
  description ? [...stamps, description.stamp] : [...stamps];

function mergeTensors(directory: string, files: readonly SafetensorsFile[]): Map<string, CheckpointTensor> {
  const merged = new Map<string, CheckpointTensor>();
  for (const { path, tensors } of files) {
    for (const [name, tensor] of tensors) {
      const first = merged.get(name)?.file;
      if (first !== undefined) {
        throw new AtbError('WEIGHT_SHARD_TENSOR_TWICE', {
          file: directory,
          tensor: name,
          shards: [first, path],
        });
      }
      merged.set(name, { ...tensor, file: path });
    }
  }
  return merged;
}

/** Every listed tensor is in the file that the index names, and every tensor is listed. */
function checkAgreement(
  index: ShardIndex,
  directory: string,
  tensors: ReadonlyMap<string, CheckpointTensor>,
): void {
  for (const [tensor, shard] of index.shardOf) {
    if (tensors.get(tensor)?.file !== join(directory, shard)) {
      throw new AtbError('WEIGHT_SHARD_LACKS_TENSOR', { file: index.path, shard, tensor });
    }
  }
  if (tensors.size === index.shardOf.size) return;
  for (const [tensor, { file }] of tensors) {
    if (!index.shardOf.has(tensor)) {
      throw new AtbError('WEIGHT_SHARD_UNLISTED_TENSOR', { file: index.path, shard: file, tensor });
    }
  }
}

function missingShard(index: ShardIndex, shard: string): AtbError {
  const tensors = [...index.shardOf.values()].filter((name) => name === shard).length;
  return new AtbError('WEIGHT_SHARD_MISSING', { file: index.path, shard, tensors });
}

async function describeMissing(directory: string): Promise<AtbError> {
  let names: string[];
  try {
    names = (await readdir(directory)).sort();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return new AtbError('WEIGHT_FILE_UNREADABLE', { file: directory, reason }, { cause: error });
  }
  for (const [pattern, remedy] of FOREIGN_FORMATS) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined) return new AtbError('WEIGHT_CHECKPOINT_FORMAT', { directory, found, remedy });
  }
  const shown = names.slice(0, 8).map((name) => describeValue(name));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return new AtbError('WEIGHT_CHECKPOINT_MISSING', {
    directory,
    found: names.length === 0 ? 'an empty directory' : `${shown.join(', ')}${more}`,
  });
}

/** Whether the directory has an entry of this name, even if it is a link whose target is gone. */
async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    return true;
  }
}
