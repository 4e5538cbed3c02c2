import { HEAD_SIZE, HEADS, SIZE } from './checks.js';
import { type Field, field, required } from './fields.js';
import { headSize } from './text-model.js';

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
  kvLoraRank: field('kv_lora_rank', SIZE, defaults.kvLoraRank),
  qkNopeHeadDim: field('qk_nope_head_dim', HEAD_SIZE, defaults.qkNopeHeadDim),
  // transformers 5 writes it a second time, under the name by which rotary embeddings ask for it.
  headDim: field(['qk_rope_head_dim', 'head_dim'], HEAD_SIZE, defaults.qkRopeHeadDim),
  vHeadDim: headSize(defaults.vHeadDim, 'v_head_dim'),
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
