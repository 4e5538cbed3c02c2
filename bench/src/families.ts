import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DECODE } from '../../dist/src/index.js';
import { loadModels } from '../../dist/src/models/get-model.js';
import { getRouter } from '../../dist/src/router/index.js';
import { quantizationPlan } from '../../dist/src/weights/quantization.js';
import { Weights } from '../../dist/src/weights/weights.js';
import { type CheckpointTensor, numel, writeHuggingFace } from './checkpoints.js';
import { newOurs, type Ours } from './driver.js';
import type { Peer } from './peers.js';
import type { RandomPool } from './random-pool.js';
import { median, type Row, Sample } from './results.js';
import { type ModelShape, SHAPES } from './shapes.js';
import { type Config, POSITIONS, widened } from './widths.js';

export interface SuiteSettings {
  readonly threads: number;
  readonly rounds: number;
  readonly folder: string;
  readonly pool: RandomPool;
  readonly log: (text: string) => void;
  /** A part of the names of what is measured: of families, of drafts' cases. */
  readonly only: string;
  /** The Python whose transformers is the peer of models that see. */
  readonly peer: string | undefined;
  /** node-llama-cpp, where it is measured, too. */
  readonly llamaCpp: Peer | undefined;
}

const FIXTURES = join(import.meta.dirname, '../../test/fixtures/families');
const PREFILL_TOKENS = 256;
const L1 = SHAPES.l1 as ModelShape;

export const LLAMA: Config = {
  model_type: 'llama',
  hidden_size: L1.hidden,
  intermediate_size: L1.intermediate,
  num_hidden_layers: 3,
  num_attention_heads: L1.heads,
  num_key_value_heads: L1.kvHeads,
  head_dim: L1.headDim,
  max_position_embeddings: POSITIONS,
  vocab_size: 131,
  rms_norm_eps: 1e-5,
  rope_theta: L1.ropeTheta,
  hidden_act: 'silu',
  torch_dtype: 'bfloat16',
  bos_token_id: 1,
  eos_token_id: 2,
};

/** The tensors that a model of this configuration asks for, of which those that it need not have are in `names`. */
export function tensorsOf(config: Config, names: ReadonlySet<string>): CheckpointTensor[] {
  const asked = new Map<string, readonly number[]>();
  const source = {
    label: 'config.json',
    has: (name: string) => names.has(name),
    find(name: string, shape: readonly number[]) {
      asked.set(name, [...shape]);
      return { name, dtype: 'bf16' as const, shape: [...shape], parts: [] };
    },
  };
  const weights = new Weights(source, '', { dtype: 'bf16', quantization: quantizationPlan({}) });
  const Router = getRouter(config.model_type);
  new Router('', config).createModel(weights).buildGraph(DECODE);
  return [...asked].map(([hf, shape]) => {
    const vector = hf.endsWith('bias') ? 'bias' : 'norm';
    // DeepSeek-V4's table of each token's experts.
    if (hf.endsWith('tid2eid')) return { hf, shape, kind: 'numbers' };
    return { hf, shape, kind: shape.length === 1 ? vector : 'matrix' };
  });
}

/** One configuration of each family, whatever its names: its first case. */
export function firstCases(): {
  readonly name: string;
  readonly config: Config;
  readonly names: Set<string>;
}[] {
  const read = (name: string, file: string) => JSON.parse(readFileSync(join(FIXTURES, name, file), 'utf8'));
  const cases = readdirSync(FIXTURES).sort();
  const configs = new Map<unknown, { name: string; config: Config; names: Set<string> }>();
  for (const name of cases) {
    const config = read(name, 'config.json');
    const router = getRouter(config.model_type);
    if (configs.has(router)) continue;
    const names = new Set(Object.keys(read(name, 'weights.json').tensors));
    configs.set(router, { name, config, names });
  }
  return [...configs.values()];
}

/** An engine that has loaded a checkpoint, and what turns its times into rates. */
interface Loaded {
  readonly engine: Ours;
  /** Of matrices that a token is multiplied with: of experts, of as many as it is given to. */
  readonly matrixBytes: number;
}

async function load(name: string, config: Config, names: ReadonlySet<string>, settings: SuiteSettings) {
  const { folder, pool, threads } = settings;
  const tensors = tensorsOf(config, names);
  const model = writeHuggingFace(join(folder, `family-${name}`), tensors, config, pool);
  const engine = newOurs();
  try {
    await engine.call('load', { model, threads, context: POSITIONS, sequences: 1 });
  } catch (error) {
    await engine.stop();
    throw error;
  }
  return { engine, matrixBytes: matrixBytesOf(tensors, config) };
}

/** Bytes of the matrices that a token is multiplied with, in bf16. */
export function matrixBytesOf(tensors: readonly CheckpointTensor[], config: Config): number {
  // A row of a table, and not the table, is read for each token; the head, which is as small, is left out with it.
  const matrices = tensors.filter(({ kind, shape }) => kind === 'matrix' && !isTable(shape, config));
  const { numExperts, numExpertsPerToken } = expertsOf(config);
  const share = numExpertsPerToken / numExperts;
  const isStack = ({ shape }: CheckpointTensor) =>
    shape.length === 3 && numExperts > 1 && shape[0] === numExperts;
  return matrices.reduce(
    (sum, each) => sum + 2 * (isRouted(each) || isStack(each) ? share : 1) * numel(each),
    0,
  );
}

/** Whether a tensor is of one expert among many. */
export const isRouted = ({ hf }: Pick<CheckpointTensor, 'hf'>): boolean =>
  /\.(experts|moe|block_sparse_moe)\.\d+\.|\.mlp\.\d+\.(gate|up|down)_proj\./.test(hf);

/** How many experts a layer has, and how many a token is given to. */
function expertsOf(config: Config): { readonly numExperts: number; readonly numExpertsPerToken: number } {
  const Router = getRouter(config.model_type);
  const read: object = new Router('', config).config;
  return { numExperts: 1, numExpertsPerToken: 1, ...read };
}

/** Of tokens or positions. */
const isTable = ([rows = 0]: readonly number[], { vocab_size, padded_vocab_size }: Config): boolean =>
  rows === vocab_size || rows === padded_vocab_size || (rows >= POSITIONS && rows <= POSITIONS + 2);

/** What was measured, and what went wrong with families that could not be. */
export interface SuiteResults {
  readonly rows: Row[];
  readonly failures: { readonly name: string; readonly error: unknown }[];
}

/**
 * A row for each family in decode and in prefill: the bytes and the operations of its matrices a second, beside those of
 * Llama in turns ("peer"). A family that fails does not keep others from being measured.
 */
export async function benchFamilies(settings: SuiteSettings): Promise<SuiteResults> {
  await loadModels();
  const rows: Row[] = [];
  const failures: SuiteResults['failures'] = [];
  const llama = await load('llama', LLAMA, new Set(['lm_head.weight']), settings);
  try {
    for (const { name, config, names } of firstCases()) {
      if (!name.includes(settings.only)) continue;
      settings.log(name);
      try {
        rows.push(...(await measured(name, widened(config), names, llama, settings)));
      } catch (error) {
        failures.push({ name, error });
      }
    }
  } finally {
    await llama.engine.stop();
  }
  return { rows, failures };
}

async function measured(
  name: string,
  config: Config,
  names: ReadonlySet<string>,
  llama: Loaded,
  settings: SuiteSettings,
): Promise<Row[]> {
  const family = await load(name, config, names, settings);
  try {
    return await compare(name, family, llama, settings.rounds);
  } finally {
    await family.engine.stop();
  }
}

async function compare(name: string, family: Loaded, llama: Loaded, rounds: number): Promise<Row[]> {
  const decode = async ({ engine, matrixBytes }: Loaded): Promise<number> =>
    matrixBytes / 1e6 / median(await engine.call('decode', { depth: 0, steps: 12 }));
  const prefill = async ({ engine, matrixBytes }: Loaded): Promise<number> =>
    (matrixBytes * PREFILL_TOKENS) / 1e6 / (await engine.call('prefill', { tokens: PREFILL_TOKENS }));
  const measure = async (what: string, unit: string, of: (loaded: Loaded) => Promise<number>) => {
    // The first step of a size plans and takes memory.
    for (const loaded of [family, llama]) await of(loaded);
    const rates: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      rates[0].push(await of(family));
      rates[1].push(await of(llama));
    }
    return { model: name, what, unit, sample: new Sample(...rates, 'more') };
  };
  return [
    await measure('decode', 'GB/s', decode),
    await measure(`prefill ${PREFILL_TOKENS}`, 'GFLOP/s', prefill),
  ];
}
