import { randomUUID } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { toFloat32 } from '../dtype.js';
import { AtbError, refuseRequest } from '../errors.js';
import { makeFolder } from '../make-folder.js';
import type { IntegerForm } from '../native/binding.js';
import { createEngine, type NativeEngine } from '../native/index.js';
import type { Checkpoint, CheckpointTensor } from '../weights/checkpoint.js';
import { syncFolder, writeSynced, writing } from '../weights/durable-output.js';
import { isGgufPath } from '../weights/gguf/model-file.js';
import { FOUR_BIT_MODES, type QuantizeMode, type QuantizeOptions } from '../weights/quantization.js';
import { readTensor } from '../weights/read-tensor.js';
import { followAllowed, type LinkOptions, readExactly, readRegularFile } from '../weights/regular-file.js';
import { SafetensorsWriter } from '../weights/safetensors-writer.js';
import type { TensorRef } from '../weights/weights.js';
import { Calibration } from './calibration/index.js';
import { openModel } from './open-model.js';
import { CHECKS, checkOptions, type OptionChecks, oneOf } from './options.js';
import { bytesOf, LAYOUTS, type QuantizedFormat, type QuantizedLayout } from './quantized-layouts.js';
import { type FloatTensor, quantizedTensors } from './quantized-tensors.js';

export interface QuantizeCheckpointOptions extends QuantizeOptions, LinkOptions {
  readonly quantize: QuantizeMode;
  /** `msmodelslim` when absent. `compressed-tensors` is what transformers and vLLM read. */
  readonly format?: QuantizedFormat | undefined;
  /** Directory of a float checkpoint. */
  readonly input: string;
  /** The new directory: absent or empty. */
  readonly output: string;
  readonly modelDirs?: readonly string[] | undefined;
  /** A text, as the model reads or writes: weights of 4 bits are rounded by what goes into their products. */
  readonly calibrate?: string | undefined;
  readonly threads?: number | undefined;
  readonly nativePath?: string | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Stops the work between two tensors: it throws OUTPUT_ABORTED and leaves nothing behind. */
  readonly signal?: AbortSignal | undefined;
}

const QUANTIZE_OPTIONS: OptionChecks<QuantizeCheckpointOptions> = {
  input: CHECKS.modelPath,
  output: CHECKS.output,
  // Whoever reads weights checks what they become.
  quantize: CHECKS.elsewhere,
  quantGroupSize: CHECKS.elsewhere,
  quantizeHead: CHECKS.elsewhere,
  format: oneOf(...Object.keys(LAYOUTS)),
  modelDirs: CHECKS.texts,
  allowLinks: CHECKS.flag,
  calibrate: CHECKS.text,
  threads: CHECKS.count,
  nativePath: CHECKS.text,
  onProgress: CHECKS.callback,
  signal: CHECKS.object,
};

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
 * the projections, what says so in the wanted format, and copies of what is not weights. The engine quantises one tensor at a
 * time, as it does when a model is loaded: so loading the result gives the same bits as quantising while loading, save for
 * the tensors that have to stay floats, which it returns. The directory appears when it is complete and on the disk.
 * Throws ROUTER_*, CONFIG_*, WEIGHT_*, NATIVE_*, REQUEST_INVALID, OUTPUT_UNWRITABLE, OUTPUT_ABORTED.
 */
export async function quantizeCheckpoint(options: QuantizeCheckpointOptions): Promise<QuantizedCheckpoint> {
  checkOptions(options, QUANTIZE_OPTIONS, 'QuantizeCheckpointOptions');
  if (typeof options.input === 'string' && isGgufPath(options.input)) {
    const expected =
      'a folder of float weights; a GGUF file runs as it is, or with --quantize when it is loaded';
    refuseRequest('MODEL', expected, options.input);
  }
  const output = resolve(options.output);
  await requireFree(output);
  if (options.calibrate !== undefined && !FOUR_BIT_MODES.includes(options.quantize))
    refuseRequest(
      'calibrate',
      `used together with quantize ${FOUR_BIT_MODES.join(' or ')}`,
      options.quantize,
    );
  const { checkpoint, model } = await openModel({ ...options, modelPath: options.input });
  const layout = LAYOUTS[options.format ?? 'msmodelslim'];
  const { forms, keptFloat } = quantizedTensors(checkpoint, model.getWeights(), layout);
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
  let calibration: Calibration | undefined;
  try {
    if (options.calibrate !== undefined) {
      const { quantize: _, quantGroupSize: __, quantizeHead: ___, ...ofFloats } = options;
      const floats = await openModel({ ...ofFloats, modelPath: options.input });
      calibration = await Calibration.open(floats, engine, options.calibrate, options);
    }
    await writing('OUT', output, async () => {
      const written = { forms, layout, calibration };
      await writeWeights(join(folder, 'model.safetensors'), checkpoint, written, engine, onTensor);
      await checkpoint.checkUnchanged();
      const file = layout.file(checkpoint.tensors, forms, options.quantize);
      if (file) await writeSynced(join(folder, file.name), file.text);
      await copyOthers(checkpoint.directory, folder, options, layout.config(checkpoint.tensors, forms));
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
    calibration?.dispose();
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

/** What is made of a checkpoint's tensors. */
interface Written {
  readonly forms: ReadonlyMap<string, IntegerForm>;
  readonly layout: QuantizedLayout;
  readonly calibration: Calibration | undefined;
}

async function writeWeights(
  path: string,
  checkpoint: Checkpoint,
  written: Written,
  engine: NativeEngine,
  onTensor: (doneBytes: number) => void,
): Promise<void> {
  const { tensors } = checkpoint;
  const { forms, layout } = written;
  const entries = [...tensors].flatMap(([name, { dtype, shape }]) => {
    const form = forms.get(name);
    return form ? layout.tensors(name, matrixOf(shape), form) : [{ name, dtype, shape }];
  });
  const writer = await SafetensorsWriter.create(path, entries, { format: 'pt' });
  try {
    let done = 0;
    for (const [name, tensor] of tensors) {
      const form = forms.get(name);
      if (form) await writeQuantized(writer, engine, checkpoint, name, { ...written, form });
      else await copyTensor(writer, checkpoint.directory, name, tensor);
      done += tensor.bytes;
      onTensor(done);
    }
    await writer.sync();
  } finally {
    await writer.close();
  }
}

const matrixOf = ([n = 0, k = 0]: readonly number[]): readonly [number, number] => [n, k];

/** Both tensors replace those of the tensor before them in the engine. */
async function writeQuantized(
  writer: SafetensorsWriter,
  engine: NativeEngine,
  checkpoint: Checkpoint,
  name: string,
  { form, layout, calibration }: Written & { readonly form: IntegerForm },
): Promise<void> {
  const { shape, parts, dtype } = checkpoint.weights().get(name, checkpoint.tensors.get(name)?.shape ?? []);
  const quantize = { ...form, scaleName: 'scale' };
  await engine.loadWeights([{ name: 'weight', dtype, shape, parts, layout: 'linear', quantize }]);
  const scale = engine.exportTensor('scale');
  if (!(scale.data as Float32Array).every(Number.isFinite)) {
    throw new AtbError('WEIGHT_NOT_FINITE', { name, file: parts[0]?.file ?? checkpoint.directory });
  }
  const rounded =
    calibration && (await roundedBytes(calibration, engine, { name, dtype, shape, parts }, form));
  const integers = rounded ?? bytesOf(engine.exportTensor('weight'));
  for (const tensor of layout.tensors(name, matrixOf(shape), form))
    await writer.write(tensor.name, tensor.bytes(integers, bytesOf(scale)));
}

/** The integers of a weight of 4 bits by what goes into its product; undefined where that is not known. */
async function roundedBytes(
  calibration: Calibration,
  engine: NativeEngine,
  weight: TensorRef,
  { bits, groupSize }: IntegerForm,
): Promise<Uint8Array | undefined> {
  if (bits !== 4 || !calibration.has(weight.name)) return undefined;
  const [n, k] = matrixOf(weight.shape);
  const scales = engine.exportTensor('scale').data as Float32Array;
  const floats = toFloat32(await readTensor(weight));
  const integers = await calibration.round(weight.name, {
    ...{ n, k, weight: floats, scales, groupSize },
    least: -8,
    most: 7,
  });
  return (
    integers &&
    Uint8Array.from({ length: (n * k) / 2 }, (_, i) => pairOf(integers[2 * i], integers[2 * i + 1]))
  );
}

/** Two integers of 4 bits in a byte. */
const pairOf = (low = 0, high = 0): number => (low & 15) | ((high & 15) << 4);

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

/** `config`: what config.json gets beside what it has. */
async function copyOthers(
  from: string,
  to: string,
  links: LinkOptions,
  config: Readonly<Record<string, unknown>> | undefined,
): Promise<void> {
  for (const name of await readdir(from)) {
    if (!COPIED.test(name)) continue;
    const file = await followAllowed(join(from, name), links);
    const bytes = await readRegularFile(file, from, (handle) => handle.readFile());
    const more = name === 'config.json' ? config : undefined;
    const text = more && `${JSON.stringify({ ...JSON.parse(bytes.toString('utf8')), ...more }, null, 2)}\n`;
    await writeSynced(join(to, name), text ?? bytes);
  }
}
