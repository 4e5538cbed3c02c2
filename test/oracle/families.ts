import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AtbError } from '../../src/errors.js';
import { safetensorsBytes } from '../weights/safetensors-writer.js';
import { readTensors } from './fixtures.js';
import { type SeededWeights, seededData, seededSafetensors } from './seeded-weights.js';

const FAMILIES_DIR = join(import.meta.dirname, '../../../test/fixtures/families');

/** The cases of tools/oracle/make_family_fixture.py, by the names of their folders. */
export const familyCases: readonly string[] = readdirSync(FAMILIES_DIR).sort();

/** A case's config.json. */
export const familyConfig = (name: string, directory = FAMILIES_DIR): { readonly model_type: string } =>
  JSON.parse(readFileSync(join(directory, name, 'config.json'), 'utf8'));

/**
 * What transformers calls the class that computed a case: another model_type than the case's own where transformers has
 * no class of that name, but one that computes the same. `formulas`: it was no class of transformers, but these.
 */
export function computedBy(
  name: string,
  directory = FAMILIES_DIR,
): { readonly own: string; readonly modelType: string; readonly formulas: string | undefined } {
  const bytes = readFileSync(join(directory, name, 'reference.safetensors'));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE(0))));
  const { model_type: modelType, computed_by: formulas } = header.__metadata__;
  return { own: familyConfig(name, directory).model_type, modelType, formulas };
}

/** A case's checkpoint in a temporary folder, made of its recipe; call `remove` when done. */
export const familyCheckpoint = (name: string) => seededCheckpoint(join(FAMILIES_DIR, name));

/** What lies beside the weights. */
const COPIED = [
  'config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'video_preprocessor_config.json',
  'adapter_config.json',
  'qformer_tokenizer',
];

/** The checkpoint of a folder with config.json and weights.json, the recipe of its weights. */
export function seededCheckpoint(folder: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'atb-family-'));
  for (const file of COPIED)
    if (existsSync(join(folder, file))) cpSync(join(folder, file), join(path, file), { recursive: true });
  const recipe: SeededWeights = JSON.parse(readFileSync(join(folder, 'weights.json'), 'utf8'));
  const ofAdapter = ([name]: readonly [string, unknown]): boolean => name.startsWith('base_model.');
  const written = (file: string, tensors: readonly [string, SeededWeights['tensors'][string]][]): void =>
    writeFileSync(join(path, file), seededSafetensors({ ...recipe, tensors: Object.fromEntries(tensors) }));
  const tensors = Object.entries(recipe.tensors);
  written(
    'model.safetensors',
    tensors.filter((tensor) => !ofAdapter(tensor)),
  );
  if (tensors.some(ofAdapter)) written('adapter_model.safetensors', tensors.filter(ofAdapter));
  return { path, remove: () => rmSync(path, { recursive: true }) };
}

/** The same checkpoint with the projections of all experts of a layer in stacks: `gate_up_proj` and `down_proj`. */
export function stackedCheckpoint(name: string): ReturnType<typeof familyCheckpoint> {
  const checkpoint = familyCheckpoint(name);
  const recipe: SeededWeights = JSON.parse(readFileSync(join(FAMILIES_DIR, name, 'weights.json'), 'utf8'));
  const stacks = new Map<string, { shape: number[]; data: Buffer[] }>();
  for (const [tensor, how] of Object.entries(recipe.tensors)) {
    if ('below' in how) throw new TypeError(`${tensor} is a table, which no stack is made of`);
    const [, stem, projection = ''] = /^(.+\.experts)\.\d+\.(\w+)\.weight$/.exec(tensor) ?? [];
    const isHalf = projection === 'gate_proj' || projection === 'up_proj';
    const into = stem === undefined ? tensor : `${stem}.${isHalf ? 'gate_up_proj' : projection}`;
    const [rows = 1, ...inner] = how.shape;
    const whole = stem === undefined ? how.shape : [0, isHalf ? 2 * rows : rows, ...inner];
    const stack = stacks.get(into) ?? { shape: [...whole], data: [] };
    if (stem !== undefined && projection !== 'up_proj') stack.shape[0] = (stack.shape[0] ?? 0) + 1;
    stack.data.push(Buffer.from(seededData(recipe.seed, tensor, how, recipe.dtype).buffer));
    stacks.set(into, stack);
  }
  const tensors = [...stacks].map(([tensor, { shape, data }]) => ({
    name: tensor,
    dtype: 'F32',
    shape,
    data: Buffer.concat(data),
  }));
  writeFileSync(join(checkpoint.path, 'model.safetensors'), safetensorsBytes(tensors));
  return checkpoint;
}

/** The experts that each layer with a router chose, [layers, tokens, chosen]. */
export interface ExpertsOfPrompt {
  readonly shape: readonly number[];
  readonly chosen: readonly number[];
}

/** The keys that each indexer chose of those up to a query's own, in bits: key j is bit j % 8 of byte j / 8. */
export interface KeysOfPrompt {
  /** [indexers, tokens, bytes] */
  readonly shape: readonly number[];
  readonly bits: readonly number[];
}

/** What transformers recorded for one prompt. */
export interface FamilyReference {
  readonly prompt: Int32Array;
  /** The positions of the prompt whose logits were kept. */
  readonly rows: readonly number[];
  /** The tokens whose logits were kept; all of them when absent. */
  readonly columns?: readonly number[];
  /** [rows, columns] in f32. */
  readonly logits: Float32Array;
  /** The same with weights that were rounded to bf16. */
  readonly roundedLogits: Float32Array;
  /** Logits that were kept of each row. */
  readonly width: number;
  /** Of a case with experts. */
  readonly experts?: ExpertsOfPrompt;
  /** The same with weights that were rounded to bf16. */
  readonly roundedExperts?: ExpertsOfPrompt;
  /** Of a case with sparse attention. */
  readonly keys?: KeysOfPrompt;
  /** The same with weights that were rounded to bf16. */
  readonly roundedKeys?: KeysOfPrompt;
  /** Greedy continuation, and how far ahead each of its tokens was. */
  readonly greedy: readonly number[];
  readonly margins: readonly number[];
}

export async function familyReferences(name: string, directory = FAMILIES_DIR): Promise<FamilyReference[]> {
  const tensors = await readTensors(join(directory, name, 'reference.safetensors'));
  const get = (tensor: string) => {
    const found = tensors.get(tensor);
    if (!found) throw new AtbError('WEIGHT_NOT_FOUND', { name: tensor });
    return found;
  };
  const numbers = (tensor: string) => Array.from(get(tensor).data as ArrayLike<number | bigint>, Number);
  const experts = (tensor: string) => ({ shape: get(tensor).shape, chosen: numbers(tensor) });
  const keys = (tensor: string) => ({ shape: get(tensor).shape, bits: numbers(tensor) });
  const prompts = [...tensors.keys()].filter((key) => key.endsWith('/tokens')).sort();
  return prompts.map((key) => {
    const of = (part: string) => key.replace(/tokens$/, part);
    return {
      prompt: Int32Array.from(numbers(key)),
      rows: numbers(of('rows')),
      ...(tensors.has(of('columns')) && { columns: numbers(of('columns')) }),
      logits: get(of('logits')).data as Float32Array,
      roundedLogits: get(of('logits_bf16')).data as Float32Array,
      width: get(of('logits')).shape[1] ?? 0,
      ...(tensors.has(of('experts')) && { experts: experts(of('experts')) }),
      ...(tensors.has(of('experts_bf16')) && { roundedExperts: experts(of('experts_bf16')) }),
      ...(tensors.has(of('keys')) && { keys: keys(of('keys')) }),
      ...(tensors.has(of('keys_bf16')) && { roundedKeys: keys(of('keys_bf16')) }),
      greedy: numbers(of('greedy')),
      margins: numbers(of('greedy_margin')),
    };
  });
}

/** Those of a prompt's logits [tokens, vocab] that a reference has. */
export function keptLogits(logits: Float32Array, { prompt, rows, columns }: FamilyReference): Float32Array {
  const width = logits.length / prompt.length;
  const kept = rowsOf(logits, rows, width);
  if (columns === undefined) return kept;
  return Float32Array.from(
    rows.flatMap((_, at) => columns.map((column) => kept[at * width + column] ?? Number.NaN)),
  );
}

/** Those rows of a matrix [..., width]. */
export function rowsOf(matrix: Float32Array, rows: readonly number[], width: number): Float32Array {
  return Float32Array.from(rows.flatMap((row) => [...matrix.subarray(row * width, (row + 1) * width)]));
}

/** A reference's greedy tokens, up to the first that rounding may decide: logits may be off by `tolerance`. */
export function certainTokens({ margins, greedy }: FamilyReference, tolerance: number): readonly number[] {
  const uncertain = margins.findIndex((margin) => margin <= 2 * tolerance);
  return greedy.slice(0, uncertain === -1 ? greedy.length : uncertain);
}
