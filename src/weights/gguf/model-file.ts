import { AtbError } from '../../errors.js';
import { checkUnchanged, type FileStamp } from '../regular-file.js';
import type { StoredTensor } from '../safetensors-file.js';
import {
  GGUF_ARCHITECTURES,
  type GgufArchitecture,
  type GgufNumbers,
  ggufArchitecture,
} from './architectures.js';
import { type GgufHeader, type GgufValue, readGgufHeader } from './header.js';

/** Whether a path means a GGUF file, which is a model by itself, and not a folder. */
export const isGgufPath = (path: string): boolean => /\.gguf$/i.test(path);

/** How a tensor of the files becomes one that a model asks for. */
export interface GgufTensor extends StoredTensor {
  readonly file: string;
  /** Row i of the model's tensor is this row of the file's. */
  readonly rowOrder?: Int32Array;
  /** What is added to its numbers. */
  readonly plus?: number;
}

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
    const found = ggufArchitecture(this.#name, (this.optional('expert_count') ?? 0) > 0);
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
    // Some architectures have a number for each layer, which here must be the same.
    const value = Array.isArray(found) && new Set(found).size === 1 ? found[0] : found;
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
    return this.fail(`${this.#name}.${key} must be a number, found ${JSON.stringify(value)?.slice(0, 80)}`);
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
    for (const { path: file, tensors } of this.headers) {
      for (const [name, tensor] of tensors) {
        if (IN_CONFIG.test(name)) continue;
        const [, stem = name, suffix = ''] = /^(.*?)(\.weight|\.bias)?$/.exec(name) ?? [];
        const [, layer, part] = /^blk\.(\d+)\.(.+)$/.exec(stem) ?? [];
        const inLayer = part === undefined ? undefined : this.architecture.layer[part];
        const renamed = inLayer === undefined ? OUTER[stem] : `model.layers.${layer}.${inLayer}`;
        // What no model reads keeps its name, by which a message tells of it.
        yield* this.#changed(`${renamed ?? stem}${suffix}`, part ?? stem, { ...tensor, file });
      }
    }
  }

  *#changed(name: string, part: string, tensor: GgufTensor): Generator<readonly [string, GgufTensor]> {
    const { turnsNeighbours = false, hasWholeNorms = false } = this.architecture;
    if (name.includes('*')) {
      yield* expertsOf(name, tensor);
    } else if (turnsNeighbours && (part === 'attn_q' || part === 'attn_k')) {
      const heads = this.number('attention.head_count');
      const own = part === 'attn_q' ? heads : (this.optional('attention.head_count_kv') ?? heads);
      yield [name, { ...tensor, rowOrder: this.#halves(name, tensor, own) }];
    } else if (hasWholeNorms && part.endsWith('norm')) {
      yield [name, { ...tensor, plus: -1 }];
    } else if (part === 'ffn_gate_inp_shexp') {
      yield [name, { ...tensor, shape: [1, ...tensor.shape.slice(-1)] }];
    } else yield [name, tensor];
  }

  /** Where rows that turn as neighbours lie half a head apart. */
  #halves(name: string, { shape }: StoredTensor, heads: number): Int32Array {
    const [rows = 0] = shape;
    const size = rows / heads;
    if (!Number.isInteger(size / 2))
      return this.fail(`${name} has ${rows} rows, which are not ${heads} heads`);
    return Int32Array.from({ length: rows }, (_, row) => {
      const [head, inner] = [Math.floor(row / size), row % size];
      const half = size / 2;
      return head * size + 2 * (inner % half) + Math.floor(inner / half);
    });
  }
}

/** What stands beside the layers. */
const OUTER: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

/** Factors of rotary frequencies, which are read as configuration. */
const IN_CONFIG = /^rope_(freqs|factors_(long|short))\.weight$/;

/** The last model, which its configuration, tokenizer and weights ask for one after another. */
const opened = new Map<string, GgufModel>();

const isUnchanged = (stamps: readonly FileStamp[]): Promise<boolean> =>
  Promise.all(stamps.map(checkUnchanged)).then(
    () => true,
    () => false,
  );

/** The matrices of a stack. */
function* expertsOf(name: string, tensor: GgufTensor): Generator<readonly [string, GgufTensor]> {
  const [experts = 0, ...shape] = tensor.shape;
  const bytes = tensor.bytes / experts;
  for (let e = 0; e < experts; e++)
    yield [name.replace('*', `${e}`), { ...tensor, shape, offset: tensor.offset + e * bytes, bytes }];
}

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
