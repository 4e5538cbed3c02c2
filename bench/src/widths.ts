import { type ModelShape, SHAPES } from './shapes.js';

export type Config = Readonly<Record<string, unknown>> & { readonly model_type: string };

const L1 = SHAPES.l1 as ModelShape;
/** Of the longest sequence that is measured. */
export const POSITIONS = 1024;
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
      'share_expert_dim',
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
  [['hc_lowrank'], 320],
  [['indexer_budget'], 2048],
  [
    ['max_position_embeddings', 'n_positions', 'n_ctx', 'seq_length', 'model_max_length', 'max_seq_len'],
    POSITIONS,
  ],
];
/** Latent attention of a model as wide as l1: that of DeepSeek-V2-Lite, and the indexer of DeepSeek-V3.2. */
const LATENT: Readonly<Record<string, number>> = {
  num_attention_heads: 16,
  num_key_value_heads: 16,
  q_lora_rank: 768,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  index_n_heads: 16,
  index_head_dim: 128,
  index_topk: 2048,
};
/** DeepSeek-V4's attention, a quarter as many heads and groups for a quarter of its width. */
const ENTRIES: Readonly<Record<string, number>> = {
  num_attention_heads: 16,
  head_dim: 512,
  qk_rope_head_dim: 64,
  q_lora_rank: 512,
  o_lora_rank: 1024,
  o_groups: 4,
  sliding_window: 128,
  index_n_heads: 16,
  index_head_dim: 128,
  index_topk: 512,
};
const PARTS = ['partial_rotary_factor', 'rotary_pct'];
const KV_HEADS = ['num_key_value_heads', 'num_kv_heads', 'multi_query_group_num', 'num_attention_groups'];

type Values = Record<string, unknown>;

/** `sizes` in place of the numbers that `values` has of these names. */
function resize(values: Values, sizes: Iterable<readonly [key: string, size: number]>): void {
  for (const [key, size] of sizes) if (typeof values[key] === 'number') values[key] = size;
}

const sizesOf = WIDTHS.flatMap(([keys, size]) => keys.map((key) => [key, size] as const));

/** A fixture's configuration as wide as l1. A model of as many heads of keys as of queries, or of one, stays so. */
export function widened(config: Config): Config {
  const wide: Values = { ...config, torch_dtype: 'bfloat16' };
  resize(wide, sizesOf);
  const heads = config.num_attention_heads ?? config.n_head;
  for (const key of KV_HEADS) {
    if (typeof config[key] !== 'number' || config[key] === 1) continue;
    wide[key] = config[key] === heads ? L1.heads : L1.kvHeads;
  }
  widenStates(config, wide);
  widenParts(config, wide);
  widenRotary(config, wide);
  if ('kv_lora_rank' in config) widenLatent(config, wide);
  if ('o_lora_rank' in config) resize(wide, Object.entries(ENTRIES));
  const { num_attention_heads_per_layer: each } = config;
  if (Array.isArray(each)) wide.num_attention_heads_per_layer = each.map(() => L1.heads);
  // A transformer that layers share is counted once, and so serves one layer.
  if (Array.isArray(config.hybrid_layer_ids)) wide.num_mem_blocks = config.hybrid_layer_ids.length;
  // Part of a narrow head may be an odd part of a wide one, also where each kind of layer says its own.
  return JSON.parse(JSON.stringify(wide), (key, value) => (PARTS.includes(key) && value < 1 ? 0.5 : value));
}

/** Mamba and Mamba-2 by themselves, whose heads are not of attention, and Zamba's mixers, which are Mamba's in few heads. */
function widenStates(config: Config, wide: Values): void {
  if (typeof wide.state_size === 'number') {
    const isFirst = 'time_step_rank' in config && !('head_dim' in config);
    const first = { state_size: 16, time_step_rank: 128, intermediate_size: 2 * L1.hidden };
    Object.assign(wide, isFirst ? first : { num_heads: 64, state_size: 128 });
  }
  if ('mamba_dt_rank' in config && 'n_mamba_heads' in config)
    Object.assign(wide, { n_mamba_heads: 2, mamba_d_state: 16, mamba_dt_rank: 128 });
}

/** Sizes that stand in a part of their own. */
function widenParts(config: Config, wide: Values): void {
  const part = (name: string, sizes: Values) => {
    const found = config[name];
    if (typeof found === 'object' && found !== null) wide[name] = { ...found, ...sizes };
  };
  if (config.model_type === 'dbrx') {
    wide.n_heads = L1.heads;
    part('attn_config', { kv_n_heads: L1.kvHeads });
    part('ffn_config', { ffn_hidden_size: EXPERT_WIDTH });
  }
  part('linear_attn_config', { num_heads: 16, head_dim: 128 });
  part('attention_other_setting', {
    ...{ num_attention_heads: 48, num_attention_groups: L1.kvHeads },
    ...{ head_dim: L1.headDim, true_head_dim: L1.headDim },
  });
  if ('num_sliding_attention_heads' in config) wide.num_sliding_attention_heads = 48;
}

/** Heads of other layers of such models are as many, and as wide. */
function widenLatent(config: Config, wide: Values): void {
  resize(wide, Object.entries(LATENT));
  const whole = ({ qk_nope_head_dim: plain, qk_rope_head_dim: turned }: Values) =>
    Number(plain) + Number(turned);
  const cached = ({ kv_lora_rank: rank, qk_rope_head_dim: turned }: Values) => Number(rank) + Number(turned);
  const turned = ({ qk_rope_head_dim: size }: Values) => size;
  for (const key of ['head_dim', 'qk_head_dim', 'q_head_dim'])
    if (key in config)
      wide[key] = [turned, whole, cached].find((of) => of(config) === config[key])?.(wide) ?? 128;
}

function widenRotary(config: Config, wide: Values): void {
  // Its lists have a factor for each pair of a head's elements.
  if (Object.values(config.rope_scaling ?? {}).some(Array.isArray)) delete wide.rope_scaling;
  const { mrope_section: sections, ...rope } = (config.rope_parameters ?? {}) as Values;
  if (sections === undefined) return;
  // Axes share what turns of a head, of which a part becomes a half.
  const part = Number(rope.partial_rotary_factor ?? 1) < 1 ? 0.5 : 1;
  const half = (L1.headDim * part) / 2;
  const third = Math.floor(half / 3);
  wide.rope_parameters = { ...rope, mrope_section: [half - 2 * third, third, third] };
}
