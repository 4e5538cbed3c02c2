import { randomUUID } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { Tensor } from '../dtype.js';
import { AtbError, refuseRequest } from '../errors.js';
import { makeFolder } from '../make-folder.js';
import type { IntegerForm } from '../native/binding.js';
import { createEngine, type NativeEngine } from '../native/index.js';
import type { Checkpoint, CheckpointTensor } from '../weights/checkpoint.js';
import { syncFolder, writeSynced, writing } from '../weights/durable-output.js';
import {
  FLOAT_TYPE,
  GROUP_SIZE_KEY,
  MODEL_TYPE_KEY,
  QUANT_DESCRIPTION_FILE,
} from '../weights/formats/msmodelslim.js';
import { type QuantizeMode, type QuantizeOptions, quantDesc } from '../weights/quantization.js';
import { followAllowed, type LinkOptions, readExactly, readRegularFile } from '../weights/regular-file.js';
import { SafetensorsWriter, type TensorEntry } from '../weights/safetensors-writer.js';
import { openModel } from './open-model.js';
import { type FloatTensor, quantizedTensors } from './quantized-tensors.js';

export interface QuantizeCheckpointOptions extends QuantizeOptions, LinkOptions {
  readonly quantize: QuantizeMode;
  /** Directory of a float checkpoint. */
  readonly input: string;
  /** The new directory: absent or empty. */
  readonly output: string;
  readonly modelDirs?: readonly string[];
  readonly threads?: number;
  readonly nativePath?: string;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Stops the work between two tensors: it throws OUTPUT_ABORTED and leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** What became of the tensors beside those that were quantised. */
export interface QuantizedCheckpoint {
  /** Products' weights that stay floats, because their changes at load come before rounding. */
  readonly keptFloat: readonly FloatTensor[];
}

/** Everything beside weights that a checkpoint needs or should keep. */
const COPIED =
  /^(config|generation_config|special_tokens_map|added_tokens|vocab)\.json$|^tokenizer|^chat_template|\.(model|tiktoken)$|^(merges|vocab)\.txt$|^(LICENSE|NOTICE|USE_POLICY)/i;
const COPY_BYTES = 8 * 2 ** 20;

/**
 * Writes a quantised checkpoint beside a float one: `model.safetensors` with integers and their scales under the names of
 * the projections, `quant_model_description.json`, and copies of what is not weights. The engine quantises one tensor at a
 * time, as it does when a model is loaded: so loading the result gives the same bits as quantising while loading, save for
 * the tensors that have to stay floats, which it returns. The directory appears when it is complete and on the disk.
 * Throws ROUTER_*, CONFIG_*, WEIGHT_*, NATIVE_*, REQUEST_INVALID, OUTPUT_UNWRITABLE, OUTPUT_ABORTED.
 */
export async function quantizeCheckpoint(options: QuantizeCheckpointOptions): Promise<QuantizedCheckpoint> {
  const output = resolve(options.output);
  await requireFree(output);
  const { checkpoint, model } = await openModel({ ...options, modelPath: options.input });
  const { forms, keptFloat } = quantizedTensors(checkpoint, model.getWeights());
  const folder = join(dirname(output), `.${basename(output)}-${randomUUID()}`);
  await writing('OUT', output, () => makeFolder(folder));
  const engine = createEngine({
    threads: options.threads ?? availableParallelism(),
    ...(options.nativePath !== undefined && { nativePath: options.nativePath }),
  });
  const onTensor = (doneBytes: number): void => {
    options.onProgress?.(doneBytes, checkpoint.totalBytes);
    if (options.signal?.aborted) throw new AtbError('OUTPUT_ABORTED', { file: output });
  };
  try {
    await writing('OUT', output, async () => {
      await writeWeights(join(folder, 'model.safetensors'), checkpoint, forms, engine, onTensor);
      await checkpoint.checkUnchanged();
      await writeSynced(join(folder, QUANT_DESCRIPTION_FILE), description(checkpoint, forms, options));
      await copyOthers(checkpoint.directory, folder, options);
      await syncFolder(folder);
      await rename(folder, output);
      await syncFolder(dirname(output));
    });
    return { keptFloat };
  } catch (error) {
    // What went wrong first is what to say, also when nothing can be removed.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  } finally {
    engine.dispose();
  }
}

async function requireFree(output: string): Promise<void> {
  const found = await readdir(output).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new AtbError(
      'REQUEST_INVALID',
      { field: 'OUT', expected: 'a new folder', found: output },
      { cause: error },
    );
  });
  if (found.length > 0) refuseRequest('OUT', 'a new or empty folder', output);
}

const scaleName = (weight: string): string => `${weight}_scale`;

function entriesOf(
  name: string,
  { dtype, shape }: CheckpointTensor,
  form: IntegerForm | undefined,
): TensorEntry[] {
  if (form === undefined) return [{ name, dtype, shape }];
  const [rows = 0, k = 0] = shape;
  const groups = form.groupSize === 0 ? 1 : Math.ceil(k / form.groupSize);
  return [
    { name, dtype: 'I8', shape: [rows, (k * form.bits) / 8] },
    { name: scaleName(name), dtype: 'F32', shape: [rows, groups] },
  ];
}

async function writeWeights(
  path: string,
  checkpoint: Checkpoint,
  forms: ReadonlyMap<string, IntegerForm>,
  engine: NativeEngine,
  onTensor: (doneBytes: number) => void,
): Promise<void> {
  const { tensors } = checkpoint;
  const entries = [...tensors].flatMap(([name, tensor]) => entriesOf(name, tensor, forms.get(name)));
  const writer = await SafetensorsWriter.create(path, entries, { format: 'pt' });
  try {
    let done = 0;
    for (const [name, tensor] of tensors) {
      const form = forms.get(name);
      if (form) await writeQuantized(writer, engine, checkpoint, name, form);
      else await copyTensor(writer, checkpoint.directory, name, tensor);
      done += tensor.bytes;
      onTensor(done);
    }
    await writer.sync();
  } finally {
    await writer.close();
  }
}

/** Both tensors replace those of the tensor before them in the engine. */
async function writeQuantized(
  writer: SafetensorsWriter,
  engine: NativeEngine,
  checkpoint: Checkpoint,
  name: string,
  { bits, groupSize, activations }: IntegerForm,
): Promise<void> {
  const { shape, parts, dtype } = checkpoint.weights().get(name, checkpoint.tensors.get(name)?.shape ?? []);
  const quantize = { bits, groupSize, activations, scaleName: 'scale' };
  await engine.loadWeights([{ name: 'weight', dtype, shape, parts, layout: 'linear', quantize }]);
  const scale = engine.exportTensor('scale');
  if (!(scale.data as Float32Array).every(Number.isFinite)) {
    throw new AtbError('WEIGHT_NOT_FINITE', { name, file: parts[0]?.file ?? checkpoint.directory });
  }
  await writer.write(name, bytesOf(engine.exportTensor('weight')));
  await writer.write(scaleName(name), bytesOf(scale));
}

const bytesOf = ({ data }: Tensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

async function copyTensor(
  writer: SafetensorsWriter,
  root: string,
  name: string,
  { file, offset, bytes }: CheckpointTensor,
): Promise<void> {
  await readRegularFile(file, root, async (handle, stamp) => {
    const buffer = Buffer.allocUnsafe(Math.min(bytes, COPY_BYTES));
    for (let at = 0; at < bytes; at += buffer.length) {
      const length = Math.min(buffer.length, bytes - at);
      await readExactly(handle, stamp, buffer, 0, length, offset + at);
      await writer.write(name, buffer.subarray(0, length), at);
    }
  });
}

function description(
  { tensors }: Checkpoint,
  forms: ReadonlyMap<string, IntegerForm>,
  { quantize }: QuantizeCheckpointOptions,
): string {
  const groupSize = Math.max(0, ...[...forms.values()].map((form) => form.groupSize));
  const types: Record<string, string | number> = {
    [MODEL_TYPE_KEY]: quantize.toUpperCase(),
    ...(groupSize > 0 && { [GROUP_SIZE_KEY]: groupSize }),
  };
  for (const name of tensors.keys()) {
    const form = forms.get(name);
    types[name] = form ? quantDesc(form) : FLOAT_TYPE;
    if (form) types[scaleName(name)] = quantDesc(form);
  }
  return `${JSON.stringify(types, null, 2)}\n`;
}

async function copyOthers(from: string, to: string, links: LinkOptions): Promise<void> {
  for (const name of await readdir(from)) {
    if (!COPIED.test(name)) continue;
    const file = await followAllowed(join(from, name), links);
    const bytes = await readRegularFile(file, from, (handle) => handle.readFile());
    await writeSynced(join(to, name), bytes);
  }
}
