import { type GgufArchitecture, OWN_KEYS, TURNS_NOTHING } from '../architecture.js';
import type { GgufNumbers } from '../numbers.js';
import { GEMMAS } from './gemma.js';

const encoder = (numbers: GgufNumbers) => ({
  layer_norm_eps: numbers.number('attention.layer_norm_epsilon'),
  type_vocab_size: numbers.rows('token_types.weight'),
  ...{ ...OWN_KEYS, head_dim: undefined, tie_word_embeddings: undefined },
});

/** Models that make vectors of texts: `pooling_type` says how (`tokenizer/gguf-files.ts`). */
export const ENCODERS: Readonly<Record<string, GgufArchitecture>> = {
  bert: {
    modelType: 'bert',
    architectures: 'BertModel',
    layers: 'encoder.layer',
    layer: {
      attn_q: 'attention.self.query',
      attn_k: 'attention.self.key',
      attn_v: 'attention.self.value',
      attn_output: 'attention.output.dense',
      attn_output_norm: 'attention.output.LayerNorm',
      ffn_up: 'intermediate.dense',
      ffn_down: 'output.dense',
      layer_output_norm: 'output.LayerNorm',
    },
    outer: {
      token_embd: 'embeddings.word_embeddings',
      token_types: 'embeddings.token_type_embeddings',
      position_embd: 'embeddings.position_embeddings',
      token_embd_norm: 'embeddings.LayerNorm',
    },
    config: (numbers) => ({ ...encoder(numbers), ...TURNS_NOTHING, hidden_act: 'gelu' }),
  },
  'nomic-bert': {
    modelType: 'nomic_bert',
    architectures: 'NomicBertModel',
    layers: 'encoder.layers',
    layer: {
      attn_qkv: 'attn.Wqkv',
      attn_output: 'attn.out_proj',
      attn_output_norm: 'norm1',
      ffn_up: 'mlp.fc11',
      ffn_gate: 'mlp.fc12',
      ffn_down: 'mlp.fc2',
      layer_output_norm: 'norm2',
    },
    outer: {
      token_embd: 'embeddings.word_embeddings',
      token_types: 'embeddings.token_type_embeddings',
      token_embd_norm: 'emb_ln',
    },
    config: (numbers) => ({ ...encoder(numbers), hidden_act: 'silu' }),
  },
  'gemma-embedding': {
    ...(GEMMAS.gemma3 as GgufArchitecture),
    architectures: 'Gemma3TextModel',
    config: (numbers) => {
      if (numbers.has('dense_2.weight'))
        numbers.fail(
          'dense_2 and dense_3 are not read: take the Hugging Face checkpoint, which has them as modules',
        );
      return { ...GEMMAS.gemma3?.config?.(numbers), use_bidirectional_attention: true };
    },
  },
};
