import { yarn } from '../architecture.js';
import { type GgufTensor, type Join, unstacked } from '../changes.js';
import type { GgufNumbers } from '../numbers.js';

/** The projections of latent attention (MLA). */
export const PROJECTED_LATENTS = {
  attn_q_a: 'self_attn.q_a_proj',
  attn_q_a_norm: 'self_attn.q_a_layernorm',
  attn_q_b: 'self_attn.q_b_proj',
  attn_kv_a_mqa: 'self_attn.kv_a_proj_with_mqa',
  attn_kv_a_norm: 'self_attn.kv_a_layernorm',
  // As files had it until llama.cpp learned to multiply latents themselves.
  attn_kv_b: 'self_attn.kv_b_proj',
};

/**
 * Keys and values of latents, which files since then have apart: of each head a matrix [latent, key], which is turned
 * here, and one [value, latent].
 */
export const KEYS_AND_VALUES: readonly Join[] = [
  {
    as: 'self_attn.kv_b_proj.weight',
    of: ['attn_k_b.weight', 'attn_v_b.weight'],
    by: ([keys, values]) => {
      const valuesOf = values ? unstacked(values) : [];
      return (keys ? unstacked(keys) : []).flatMap((key, head): GgufTensor[] => {
        const value = valuesOf[head];
        const turned = { ...key, shape: key.shape.toReversed(), transposed: true as const };
        return value ? [turned, value] : [turned];
      });
    },
  },
];

/** Sizes within a head. Keys of files without `_mla` are those of a head; else those of the latent. */
export function latentSizes(numbers: GgufNumbers) {
  const turns = numbers.number('rope.dimension_count');
  const key = numbers.optional('attention.key_length_mla') ?? numbers.number('attention.key_length');
  return {
    num_key_value_heads: numbers.number('attention.head_count'),
    q_lora_rank: numbers.optional('attention.q_lora_rank') ?? null,
    kv_lora_rank: numbers.number('attention.kv_lora_rank'),
    qk_rope_head_dim: turns,
    qk_nope_head_dim: key - turns,
    v_head_dim:
      numbers.optional('attention.value_length_mla') ??
      numbers.optional('attention.value_length') ??
      key - turns,
    head_dim: undefined,
  };
}

/** YaRN of DeepSeek, which scales queries by a logarithm that files have a tenth of. */
export function yarnOfLatents(numbers: GgufNumbers) {
  const tenth = numbers.optional('rope.scaling.yarn_log_multiplier');
  if (tenth === undefined) return {};
  const mscale = Number((tenth * 10).toFixed(5));
  return { rope_scaling: { ...yarn(numbers), mscale, mscale_all_dim: mscale } };
}
