import { HEAD_SIZE, HEADS, SIZE } from './checks.js';
import { type Field, field, required } from './fields.js';
import { headSize } from './text-model.js';

/** The largest head that caches take. */
const MOST = 576;

/** The defaults that a family with latent attention must state. */
export interface LatentAttentionDefaults {
  /** Null stands for queries that are made of the hidden state itself, and so does undefined here. */
  readonly qLoraRank: number | undefined;
  readonly kvLoraRank: number;
  readonly qkNopeHeadDim: number;
  readonly qkRopeHeadDim: number;
  /** Of null, too. */
  readonly vHeadDim: number | 'hidden_size / num_attention_heads';
}

/** Sizes of multi-head latent attention; `headDim` is the part of a head that turns. */
export const latentAttention = (defaults: LatentAttentionDefaults) => ({
  numAttentionHeads: field('num_attention_heads', HEADS, required),
  numKeyValueHeads,
  qLoraRank: nullable('q_lora_rank', defaults.qLoraRank),
  kvLoraRank: latentSize(defaults.kvLoraRank),
  qkNopeHeadDim: field('qk_nope_head_dim', HEAD_SIZE, defaults.qkNopeHeadDim),
  // transformers 5 writes it a second time, under the name by which rotary embeddings ask for it.
  headDim: field(['qk_rope_head_dim', 'head_dim'], HEAD_SIZE, defaults.qkRopeHeadDim),
  vHeadDim: headSize(defaults.vHeadDim, 'v_head_dim'),
});

/** The cache has a row of it, and of what turns, for each token: eights, up to the largest head that caches take. */
const latentSize = (fallback: number): Field<number, { readonly headDim: number }> => ({
  read(json, { headDim }) {
    const found = json.value('kv_lora_rank', SIZE) ?? fallback;
    if (found % 8 !== 0 || headDim % 8 !== 0 || found + headDim > MOST)
      json.problem(
        `kv_lora_rank (${found}) and qk_rope_head_dim (${headDim}) must be multiples of 8 that are at most ${MOST} together`,
      );
    return found;
  },
});

/** Every head has keys and values of its own, made of what all share. */
const numKeyValueHeads: Field<number, { readonly numAttentionHeads: number }> = {
  read(json, { numAttentionHeads: heads }) {
    const found = json.value('num_key_value_heads', HEADS) ?? heads;
    if (found !== heads)
      json.problem(`num_key_value_heads must be num_attention_heads (${heads}), found ${found}`);
    return heads;
  },
};

const nullable = (name: string, fallback: number | undefined): Field<number | undefined> => ({
  read: (json) => (json.isNull(name) ? undefined : (json.value(name, SIZE) ?? fallback)),
});
