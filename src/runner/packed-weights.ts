import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { AtbError } from '../errors.js';
import { makeFolder } from '../make-folder.js';
import { addonDigest, type NativeEngine, type PackedFile, type WeightLoad } from '../native/index.js';
import { quantDesc } from '../weights/quantization.js';
import type { OpenModel } from './open-model.js';
import { ENTRY_SUFFIX, type EntryKey, keyText, PARTIAL_SUFFIX, removeAbandoned } from './packed-entries.js';
import type { RunnerOptions } from './runner-options.js';

type Progress = (loadedBytes: number, totalBytes: number) => void;

/**
 * The packed weights of one model in a folder. Nothing that is wrong there keeps the model from being loaded: it is a
 * warning.
 */
export class PackedWeights {
  readonly #folder: string;
  /** What is to be written; undefined when there is nothing to do. */
  #missing: PackedFile | undefined;

  private constructor(
    folder: string,
    private readonly open: OpenModel,
    private readonly nativePath: string | undefined,
  ) {
    this.#folder = resolve(folder);
  }

  /** Undefined without the option `weightsCache`. */
  static of(open: OpenModel, { weightsCache, nativePath }: RunnerOptions): PackedWeights | undefined {
    return weightsCache === undefined ? undefined : new PackedWeights(weightsCache, open, nativePath);
  }

  /** Loads what the folder has of these weights. False when it has nothing that can be used. @throws NATIVE_* */
  async read(
    engine: NativeEngine,
    loads: readonly WeightLoad[],
    onProgress: Progress | undefined,
  ): Promise<boolean> {
    const packed = this.#entryOf(engine, loads);
    if (existsSync(packed.file)) {
      try {
        await engine.loadWeights(loads, onProgress, packed);
        return true;
      } catch (error) {
        if (!(error instanceof AtbError && error.code === 'PACKED_UNUSABLE')) throw error;
        this.open.onWarning(`${error.message}; they are made anew`);
      }
    }
    try {
      await makeFolder(this.#folder);
      await removeAbandoned(this.#folder);
      this.#missing = packed;
    } catch (error) {
      this.#notKept(error);
    }
    return false;
  }

  /**
   * Writes what `read` did not find, beside all else: under another name, which it gives up when it is complete. Settles
   * when this is done or has failed, and never rejects.
   */
  async keep(engine: NativeEngine): Promise<void> {
    if (this.#missing === undefined) return;
    const { file, key } = this.#missing;
    const partial = join(this.#folder, `.${basename(file)}-${randomUUID()}${PARTIAL_SUFFIX}`);
    try {
      await engine.writePacked({ file: partial, key });
      await rename(partial, file);
    } catch (error) {
      await rm(partial, { force: true }).catch(() => undefined);
      this.#notKept(error);
    }
  }

  #notKept(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.open.onWarning(`packed weights are not kept in ${this.#folder}: ${reason}`);
  }

  /**
   * An entry's name says what was asked for, its key what it was made of: so that what is made of other files, or by another
   * build, takes the place of what was there.
   */
  #entryOf({ isa }: NativeEngine, loads: readonly WeightLoad[]): PackedFile {
    const { checkpoint } = this.open;
    const forms = formsOf(loads);
    const [form = ''] = forms;
    const key: EntryKey = {
      model: checkpoint.directory,
      form,
      isa,
      addon: addonDigest(this.nativePath),
      files: checkpoint.stamps.map(({ path, size, changed }) => ({ path, size, changed })),
      loads: digest(loads),
    };
    const asked = digest([checkpoint.directory, isa, forms]).slice(0, 12);
    const model = basename(checkpoint.directory).replaceAll(/[^\w.-]/g, '_');
    const name = [model.slice(0, 80), form.toLowerCase(), isa, asked].join('-');
    return { file: join(this.#folder, `${name}${ENTRY_SUFFIX}`), key: keyText(key) };
  }
}

/** As what, and how many, weights are loaded; first that of most numbers. */
function formsOf(loads: readonly WeightLoad[]): string[] {
  const sums = new Map<string, { elements: number; weights: number }>();
  for (const { dtype, layout, quantize, shape } of loads) {
    const form = quantize ? `${quantDesc(quantize)} ${quantize.groupSize}` : dtype;
    const { elements, weights } = sums.get(`${form} ${layout}`) ?? { elements: 0, weights: 0 };
    const own = shape.reduce((product, size) => product * size, 1);
    sums.set(`${form} ${layout}`, { elements: elements + own, weights: weights + 1 });
  }
  return [...sums]
    .sort(([, a], [, b]) => b.elements - a.elements)
    .map(([form, { weights }], index) => (index === 0 ? (form.split(' ')[0] ?? form) : `${form} ${weights}`));
}

/** SHA-256 of values as JSON; orders of rows and columns, which are long, by their own digests. */
function digest(value: unknown): string {
  const short = (_: string, each: unknown): unknown =>
    each instanceof Int32Array ? createHash('sha256').update(each).digest('base64') : each;
  return createHash('sha256').update(JSON.stringify(value, short)).digest('hex');
}
