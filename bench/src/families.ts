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

export type Config = Readonly<Record<string, unknown>> & { readonly model_type: string };

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
const POSITIONS = 1024;
const PREFILL_TOKENS = 256;
const L1 = SHAPES.l1 as ModelShape;
/** Of experts that are narrower than MLPs, as those of Qwen3-30B-A3B. */
const EXPERT_WIDTH = 768;

/** What families call the sizes of a decoder, and the sizes of l1. Layers and vocabulary stay as few as they are. */
const WIDTHS: readonly (readonly [keys: readonly string[], size: number])[] = [
  [['hidden_size', 'n_embd', 'word_embed_proj_dim', 'd_model', 'lru_width'], L1.hidden],
  [['intermediate_size', 'ffn_hidden_size', 'n_inner', 'ffn_dim'], L1.intermediate],
  [
    [
      'moe_intermediate_size',
      'expert_hidden_dim',
      'expert_ffn_hidden_size',
      'shared_expert_intermediate_size',
      'moe_shared_expert_intermediate_size',
    ],
    EXPERT_WIDTH,
  ],
  [['num_attention_heads', 'n_head', 'attention_heads'], L1.heads],
  [['head_dim', 'kv_channels'], L1.headDim],
  [['block_ff_dim'], (L1.intermediate * 3) / 2],
  [['linear_num_key_heads', 'linear_num_value_heads'], 16],
  [['linear_key_head_dim', 'linear_value_head_dim', 'mamba_d_state'], 128],
  [['mamba_n_heads', 'n_mamba_heads'], 64],
  [['mamba_d_head', 'mamba_headdim'], 64],
  [['attention_head_dim'], 2 * L1.headDim],
  [['mamba_d_ssm'], 64 * 64],
  [['max_position_embeddings', 'n_positions', 'n_ctx', 'seq_length', 'model_max_length'], POSITIONS],
];
const PARTS = ['partial_rotary_factor', 'rotary_pct'];
const KV_HEADS = ['num_key_value_heads', 'num_kv_heads', 'multi_query_group_num'];

/** A fixture's configuration as wide as l1. A model of as many heads of keys as of queries, or of one, stays so. */
function widened(config: Config): Config {
  const wide: Record<string, unknown> = { ...config, torch_dtype: 'bfloat16' };
  for (const [keys, size] of WIDTHS)
    for (const key of keys) if (typeof wide[key] === 'number') wide[key] = size;
  // Mamba and Mamba-2 by themselves, whose heads are not of attention.
  if (typeof wide.state_size === 'number') {
    const isFirst = 'time_step_rank' in config && !('head_dim' in config);
    const first = { state_size: 16, time_step_rank: 128, intermediate_size: 2 * L1.hidden };
    Object.assign(wide, isFirst ? first : { num_heads: 64, state_size: 128 });
  }
  // Zamba's mixers are those of Mamba, in few heads.
  if ('mamba_dt_rank' in config && 'n_mamba_heads' in config)
    Object.assign(wide, { n_mamba_heads: 2, mamba_d_state: 16, mamba_dt_rank: 128 });
  // Heads of latent attention say their parts, which stay.
  if ('kv_lora_rank' in config && 'head_dim' in config) wide.head_dim = config.head_dim;
  const { num_attention_heads_per_layer: each } = config;
  if (Array.isArray(each)) wide.num_attention_heads_per_layer = each.map(() => L1.heads);
  // Its lists have a factor for each pair of a head's elements.
  if (Object.values(config.rope_scaling ?? {}).some(Array.isArray)) delete wide.rope_scaling;
  // Axes share what turns of a head.
  const { mrope_section: sections, ...rope } = (config.rope_parameters ?? {}) as Record<string, unknown>;
  if (sections !== undefined) {
    const half = (L1.headDim * Number(rope.partial_rotary_factor ?? 1)) / 2;
    const third = Math.floor(half / 3);
    wide.rope_parameters = { ...rope, mrope_section: [half - 2 * third, third, third] };
  }
  // A transformer that layers share is counted once, and so serves one layer.
  if (Array.isArray(config.hybrid_layer_ids)) wide.num_mem_blocks = config.hybrid_layer_ids.length;
  const heads = config.num_attention_heads ?? config.n_head;
  for (const key of KV_HEADS) {
    if (typeof config[key] !== 'number' || config[key] === 1) continue;
    wide[key] = config[key] === heads ? L1.heads : L1.kvHeads;
  }
  // Part of a narrow head may be an odd part of a wide one, also where each kind of layer says its own.
  return JSON.parse(JSON.stringify(wide), (key, value) => (PARTS.includes(key) && value < 1 ? 0.5 : value));
}

const LLAMA: Config = {
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
    return { hf, shape, kind: shape.length === 1 ? vector : 'matrix' };
  });
}

/** One configuration of each family, whatever its names: its first case. */
function firstCases(): { readonly name: string; readonly config: Config; readonly names: Set<string> }[] {
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
  // A row of a table, and not the table, is read for each token; the head, which is as small, is left out with it.
  const matrices = tensors.filter(({ kind, shape }) => kind === 'matrix' && !isTable(shape, config));
  const { numExperts, numExpertsPerToken } = expertsOf(config);
  const share = numExpertsPerToken / numExperts;
  const isStack = ({ shape }: CheckpointTensor) =>
    shape.length === 3 && numExperts > 1 && shape[0] === numExperts;
  const elements = matrices.reduce(
    (sum, each) => sum + (isRouted(each) || isStack(each) ? share : 1) * numel(each),
    0,
  );
  return { engine, matrixBytes: 2 * elements };
}

/** Whether a tensor is of one expert among many. */
export const isRouted = ({ hf }: Pick<CheckpointTensor, 'hf'>): boolean =>
  /\.(experts|block_sparse_moe)\.\d+\.|\.mlp\.\d+\.(gate|up|down)_proj\./.test(hf);

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
