import { AtbError } from '../../errors.js';
import { checkUnchanged, type FileStamp } from '../regular-file.js';
import type { StoredTensor } from '../safetensors-file.js';
import { type GgufArchitecture, OUTER } from './architecture.js';
import { GGUF_ARCHITECTURES, ggufArchitecture } from './architectures.js';
import { type GgufTensor, unstacked } from './changes.js';
import { type GgufHeader, type GgufValue, readGgufHeader } from './header.js';
import type { GgufNumbers } from './numbers.js';
import { readSmallFloats } from './small-floats.js';

/** Whether a path means a GGUF file, which is a model by itself, and not a folder. */
export const isGgufPath = (path: string): boolean => /\.gguf$/i.test(path);

/** More than any model has. */
const MOST_LAYERS = 10_000;

/** A model in one GGUF file, or in several that `gguf-split` cut it into. */
export class GgufModel implements GgufNumbers {
  /** The file that was asked for. */
  readonly path: string;
  readonly headers: readonly GgufHeader[];
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly architecture: GgufArchitecture;
  readonly #name: string;
  #tensors: ReadonlyMap<string, GgufTensor> | undefined;

  private constructor(path: string, headers: readonly [GgufHeader, ...GgufHeader[]]) {
    this.path = path;
    this.headers = headers;
    this.metadata = headers[0].metadata;
    const name = this.metadata.get('general.architecture');
    this.#name = typeof name === 'string' ? name : '';
    const found = ggufArchitecture(this.#name, this);
    this.architecture =
      found ??
      this.fail(
        `general.architecture must be one of ${GGUF_ARCHITECTURES.join(', ')}, found ${JSON.stringify(name ?? null)}: take the Hugging Face checkpoint that the file was made of`,
      );
  }

  /** Reads the headers, or returns what was read of the same files before. Throws WEIGHT_FILE_*, CONFIG_INVALID. */
  static async open(path: string): Promise<GgufModel> {
    const known = opened.get(path);
    if (known && (await isUnchanged(known.stamps))) return known;
    const first = await readGgufHeader(path);
    const model = new GgufModel(path, [first, ...(await otherSplits(first))]);
    opened.clear();
    opened.set(path, model);
    return model;
  }

  get stamps(): readonly FileStamp[] {
    return this.headers.map(({ stamp }) => stamp);
  }

  fail(problem: string): never {
    throw new AtbError('CONFIG_INVALID', { file: this.path, problems: [problem] });
  }

  optional(key: string): number | undefined {
    const found = this.metadata.get(`${this.#name}.${key}`);
    // Some architectures have a number for each layer, which must be the same in all that have such a part.
    const own = Array.isArray(found) ? new Set(found.filter((item) => item !== 0)) : new Set();
    const value = Array.isArray(found) && own.size <= 1 ? ([...own, 0][0] as GgufValue) : found;
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
    return this.fail(`${this.#name}.${key} must be a number, found ${JSON.stringify(value)?.slice(0, 80)}`);
  }

  /** As `optional`, but undefined where layers differ. */
  shared(key: string): number | undefined {
    const found = new Set(this.perLayer(key)?.filter((value) => value !== 0));
    return found.size > 1 ? undefined : this.optional(key);
  }

  perLayer(key: string): readonly (number | boolean)[] | undefined {
    const found = this.metadata.get(`${this.#name}.${key}`);
    return Array.isArray(found) ? (found as (number | boolean)[]) : undefined;
  }

  flag(key: string): boolean {
    return this.metadata.get(`${this.#name}.${key}`) === true;
  }

  has(tensor: string): boolean {
    return this.stored(tensor) !== undefined;
  }

  rows(tensor: string): number {
    return this.stored(tensor)?.shape[0] ?? this.fail(`${tensor} is missing`);
  }

  get layers(): number {
    const count = this.number('block_count') - (this.optional('nextn_predict_layers') ?? 0);
    // Lists of all layers are made before anything else looks at the number.
    return Number.isSafeInteger(count) && count >= 0 && count <= MOST_LAYERS
      ? count
      : this.fail(
          `${this.#name}.block_count must be a number of at most ${MOST_LAYERS} layers, found ${count}`,
        );
  }

  number(key: string): number {
    return this.optional(key) ?? this.fail(`${this.#name}.${key} is missing`);
  }

  text(key: string): string | undefined {
    const found = this.metadata.get(key);
    if (found === undefined || typeof found === 'string') return found;
    return this.fail(`${key} must be a text, found ${JSON.stringify(found)}`);
  }

  /** How rotary embeddings are scaled; undefined where nothing says so. */
  scalingType(): string | undefined {
    return this.text(`${this.#name}.rope.scaling.type`);
  }

  /** What a list of the metadata holds; undefined when there is none. */
  list<T extends 'string' | 'number'>(
    key: string,
    type: T,
  ): readonly (T extends 'string' ? string : number)[] | undefined {
    const found = this.metadata.get(key);
    if (found === undefined) return undefined;
    if (!Array.isArray(found) || !found.every((item) => typeof item === type))
      return this.fail(`${key} must be a list of ${type}s`);
    return found;
  }

  /** A tensor of the files by GGUF's name. */
  stored(name: string): (StoredTensor & { readonly file: string }) | undefined {
    for (const { path: file, tensors } of this.headers) {
      const tensor = tensors.get(name);
      if (tensor) return { ...tensor, file };
    }
    return undefined;
  }

  /** Every tensor by the name that Hugging Face's files give it. */
  get tensors(): ReadonlyMap<string, GgufTensor> {
    this.#tensors ??= new Map(this.#renamed());
    return this.#tensors;
  }

  *#renamed(): Generator<readonly [name: string, tensor: GgufTensor]> {
    const { layer: inLayer, layers = 'model.layers', outer = OUTER } = this.architecture;
    const joined = this.#joins();
    yield* joined.made;
    for (const { path: file, tensors } of this.headers) {
      for (const [name, stored] of tensors) {
        if (IN_CONFIG.test(name) || joined.taken.has(name)) continue;
        const [, layer, part = name] = /^blk\.(\d+)\.(.+)$/.exec(name) ?? [];
        // Layers that guess further tokens.
        if (layer !== undefined && Number(layer) >= this.layers) continue;
        const names = layer === undefined ? outer : inLayer;
        const [, stem = part, suffix = ''] = /^(.*?)(\.weight|\.bias)?$/.exec(part) ?? [];
        const found = names[part] ?? (names[stem] === undefined ? undefined : `${names[stem]}${suffix}`);
        const before = layer === undefined ? '' : `${layers}.${layer}.`;
        // What no model reads keeps its name, by which a message tells of it.
        const renamed = found === undefined ? name : `${before}${found}`;
        const tensor = this.#changed(stem, suffix, { ...stored, file });
        if (!renamed.includes('*')) yield* halvesOf(renamed, tensor);
        else
          for (const [i, own] of unstacked(tensor).entries())
            yield* halvesOf(renamed.replace('*', `${i}`), own);
      }
    }
  }

  #changed(stem: string, suffix: string, tensor: GgufTensor): GgufTensor {
    const { changes = {}, wholeNorms } = this.architecture;
    const changed = changes[stem]?.(tensor, this) ?? tensor;
    const isWhole = suffix === '.weight' && /norm$/.test(stem) && !wholeNorms?.butNot.includes(stem);
    return wholeNorms && isWhole ? { ...changed, plus: -1 } : changed;
  }

  /** Tensors that are made of several, and which these are. */
  #joins() {
    const { joins = [], layers: before = 'model.layers' } = this.architecture;
    const made: (readonly [string, GgufTensor])[] = [];
    const taken = new Set<string>();
    for (let layer = 0; layer < this.layers; layer++) {
      for (const { as, of, by = (tensors: readonly GgufTensor[]) => tensors } of joins) {
        const names = of.map((name) => `blk.${layer}.${name}`);
        const found = names.map((name) => this.stored(name)).filter((tensor) => tensor !== undefined);
        const [first, ...others] = found.length === of.length ? by(found, this) : [];
        if (first === undefined) continue;
        const rows = [first, ...others].reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
        const bytes = found.reduce((sum, tensor) => sum + tensor.bytes, 0);
        const shape = [rows, ...first.shape.slice(1)];
        made.push([`${before}.${layer}.${as}`, { ...first, shape, bytes, joined: [first, ...others] }]);
        for (const name of names) taken.add(name);
      }
    }
    return { made, taken };
  }

  /** The numbers x of which files have -exp(x), by where these lie. Throws WEIGHT_FILE_*. */
  async decays(): Promise<ReadonlyMap<number, Float32Array>> {
    const read = new Map<number, Float32Array>();
    for (const tensor of this.tensors.values())
      if (tensor.isDecay)
        read.set(
          tensor.offset,
          (await readSmallFloats(tensor, this.path)).map((x) => Math.log(-x)),
        );
    return read;
  }
}

/** Factors of rotary frequencies, which are read as configuration. */
const IN_CONFIG = /^rope_(freqs|factors_(long|short))\.weight$/;

/** Tensors that lie one below the other in one, and have as many rows each: `{gate_proj,up_proj}`. */
function* halvesOf(name: string, tensor: GgufTensor): Generator<readonly [string, GgufTensor]> {
  const [braces, listed] = /\{(.+)\}/.exec(name) ?? [];
  if (braces === undefined || listed === undefined) return yield [name, tensor];
  const names = listed.split(',');
  const [rows = 0, ...inner] = tensor.shape;
  const bytes = tensor.bytes / names.length;
  const shape = [rows / names.length, ...inner];
  for (const [i, each] of names.entries())
    yield [name.replace(braces, each), { ...tensor, shape, bytes, offset: tensor.offset + i * bytes }];
}

/** The last model, which its configuration, tokenizer and weights ask for one after another. */
const opened = new Map<string, GgufModel>();

const isUnchanged = (stamps: readonly FileStamp[]): Promise<boolean> =>
  Promise.all(stamps.map(checkUnchanged)).then(
    () => true,
    () => false,
  );

/** `gguf-split` numbers its files; the first one has the metadata. */
async function otherSplits(first: GgufHeader): Promise<GgufHeader[]> {
  const count = first.metadata.get('split.count') ?? 1;
  if (typeof count !== 'number' || count <= 1) return [];
  const total = String(count).padStart(5, '0');
  const ending = `-00001-of-${total}.gguf`;
  if (!first.path.endsWith(ending))
    throw new AtbError('WEIGHT_FILE_GGUF', {
      file: first.path,
      problem: `it is one of ${count} files: give the first of them, whose name ends in ${ending}`,
    });
  const others = Array.from({ length: count - 1 }, (_, i) => String(i + 2).padStart(5, '0'));
  return Promise.all(
    others.map((number) => readGgufHeader(first.path.replace(ending, `-${number}-of-${total}.gguf`))),
  );
}
