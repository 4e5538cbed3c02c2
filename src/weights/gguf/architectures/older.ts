import {
  ATTENTION,
  type GgufArchitecture,
  LLAMA,
  OUTER,
  OWN_KEYS,
  rotaryPart,
  TURNS_NOTHING,
} from '../architecture.js';
import { asFloats, type Change, turned } from '../changes.js';
import type { GgufNumbers } from '../numbers.js';
import { layerNormEps } from './dense.js';
import { latentSizes, PROJECTED_LATENTS } from './latent.js';

const UNGATED = { ffn_up: 'mlp.dense_h_to_4h', ffn_down: 'mlp.dense_4h_to_h' };

/** Rows of queries, keys and values that lie head by head, of which llama.cpp has all queries first. */
const headByHead: Change = (tensor, numbers) => {
  const [heads, [rows = 0]] = [numbers.number('attention.head_count'), tensor.shape];
  const size = rows / heads / 3;
  const rowOrder = Int32Array.from({ length: rows }, (_, row) => {
    const [head, inner] = [Math.floor(row / (3 * size)), row % (3 * size)];
    return Math.floor(inner / size) * heads * size + head * size + (inner % size);
  });
  return { ...tensor, rowOrder };
};

/** Falcon's rows, which lie by heads of keys: their queries, the key, the value. */
const byKeyHeads: Change = (tensor, numbers) => {
  const heads = numbers.number('attention.head_count');
  const keyHeads = numbers.optional('attention.head_count_kv') ?? 1;
  const [rows = 0] = tensor.shape;
  const [size, each] = [rows / (heads + 2 * keyHeads), heads / keyHeads];
  const rowOrder = Int32Array.from({ length: rows }, (_, row) => {
    const group = Math.floor(row / (size * (each + 2)));
    const [at, inner] = [Math.floor(row / size) % (each + 2), row % size];
    const head = at < each ? group * each + at : heads + (at - each) * keyHeads + group;
    return head * size + inner;
  });
  return { ...tensor, rowOrder };
};

const transformer = (names: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(names).map(([name, found]) => [name, `transformer.${found}`]));

/** What tells Falcons whose attention and MLP have norms of their own. */
export const SECOND_NORM = 'blk.0.attn_norm_2.weight';

const falcon = (numbers: GgufNumbers) => {
  const keyHeads = numbers.optional('attention.head_count_kv') ?? 1;
  return {
    ...{ n_head: numbers.number('attention.head_count'), n_layer: numbers.layers },
    layer_norm_epsilon: numbers.number('attention.layer_norm_epsilon'),
    new_decoder_architecture: keyHeads > 1,
    ...(keyHeads > 1 && { num_ln_in_parallel_attn: numbers.has(SECOND_NORM) ? 2 : 1 }),
    num_kv_heads: keyHeads,
    multi_query: true,
    ...{ parallel_attn: true, bias: false, alibi: false },
    ...OWN_KEYS,
  };
};

const FALCON: GgufArchitecture = {
  modelType: 'falcon',
  architectures: 'FalconForCausalLM',
  layers: 'transformer.h',
  layer: {
    attn_norm: 'input_layernorm',
    attn_qkv: 'self_attention.query_key_value',
    attn_output: 'self_attention.dense',
    ...UNGATED,
  },
  outer: { ...transformer({ token_embd: 'word_embeddings', output_norm: 'ln_f' }), output: 'lm_head' },
  changes: { attn_qkv: byKeyHeads },
  config: falcon,
};

export const FALCON_OF_TWO_NORMS: GgufArchitecture = {
  ...FALCON,
  layer: { ...FALCON.layer, attn_norm: 'ln_mlp', attn_norm_2: 'ln_attn' },
};

/** Models of 2019 to 2023. */
export const OLDER: Readonly<Record<string, GgufArchitecture>> = {
  gpt2: {
    modelType: 'gpt2',
    architectures: 'GPT2LMHeadModel',
    layers: 'transformer.h',
    layer: {
      attn_norm: 'ln_1',
      attn_qkv: 'attn.c_attn',
      attn_output: 'attn.c_proj',
      ffn_norm: 'ln_2',
      ffn_up: 'mlp.c_fc',
      ffn_down: 'mlp.c_proj',
    },
    outer: {
      ...transformer({ token_embd: 'wte', position_embd: 'wpe', output_norm: 'ln_f' }),
      output: 'lm_head',
    },
    config: (numbers) => ({
      n_embd: numbers.number('embedding_length'),
      n_head: numbers.number('attention.head_count'),
      n_layer: numbers.layers,
      n_positions: numbers.number('context_length'),
      n_inner: numbers.number('feed_forward_length'),
      layer_norm_epsilon: numbers.number('attention.layer_norm_epsilon'),
      activation_function: 'gelu_new',
      ...TURNS_NOTHING,
      ...OWN_KEYS,
    }),
    changes: { attn_qkv: turned, attn_output: turned, ffn_up: turned, ffn_down: turned },
  },
  gptneox: {
    modelType: 'gpt_neox',
    architectures: 'GPTNeoXForCausalLM',
    layers: 'gpt_neox.layers',
    layer: {
      attn_norm: 'input_layernorm',
      attn_qkv: 'attention.query_key_value',
      attn_output: 'attention.dense',
      ffn_norm: 'post_attention_layernorm',
      ...UNGATED,
    },
    outer: { token_embd: 'gpt_neox.embed_in', output_norm: 'gpt_neox.final_layer_norm', output: 'embed_out' },
    changes: { attn_qkv: headByHead },
    config: (numbers) => ({
      ...layerNormEps(numbers),
      rotary_pct: rotaryPart(numbers).partial_rotary_factor,
      rotary_emb_base: numbers.optional('rope.freq_base') ?? 10_000,
      use_parallel_residual: numbers.flag('use_parallel_residual'),
      hidden_act: 'gelu',
      attention_bias: numbers.has('blk.0.attn_qkv.bias'),
      ...OWN_KEYS,
    }),
  },
  phi2: {
    modelType: 'phi',
    architectures: 'PhiForCausalLM',
    layer: { ...ATTENTION, attn_output: 'self_attn.dense', ffn_up: 'mlp.fc1', ffn_down: 'mlp.fc2' },
    outer: { ...OUTER, output_norm: 'model.final_layernorm' },
    config: (numbers) => ({ ...layerNormEps(numbers), ...rotaryPart(numbers), hidden_act: 'gelu_new' }),
  },
  stablelm: {
    modelType: 'stablelm',
    architectures: 'StableLmForCausalLM',
    layer: LLAMA,
    config: (numbers) => ({
      ...layerNormEps(numbers),
      ...rotaryPart(numbers),
      use_parallel_residual: numbers.flag('use_parallel_residual'),
      use_qkv_bias: numbers.has('blk.0.attn_q.bias'),
    }),
  },
  falcon: FALCON,
  bloom: {
    modelType: 'bloom',
    architectures: 'BloomForCausalLM',
    layers: 'transformer.h',
    layer: {
      attn_norm: 'input_layernorm',
      attn_qkv: 'self_attention.query_key_value',
      attn_output: 'self_attention.dense',
      ffn_norm: 'post_attention_layernorm',
      ...UNGATED,
    },
    outer: {
      ...transformer({
        token_embd: 'word_embeddings',
        token_embd_norm: 'word_embeddings_layernorm',
        output_norm: 'ln_f',
      }),
      output: 'lm_head',
    },
    changes: { attn_qkv: headByHead },
    config: (numbers) => ({
      n_head: numbers.number('attention.head_count'),
      n_layer: numbers.layers,
      layer_norm_epsilon: numbers.number('attention.layer_norm_epsilon'),
      ...TURNS_NOTHING,
      ...OWN_KEYS,
    }),
  },
  mpt: {
    modelType: 'mpt',
    architectures: 'MPTForCausalLM',
    layers: 'transformer.blocks',
    layer: {
      attn_norm: 'norm_1',
      attn_qkv: 'attn.Wqkv',
      attn_output: 'attn.out_proj',
      ffn_norm: 'norm_2',
      ffn_up: 'ffn.up_proj',
      ffn_down: 'ffn.down_proj',
    },
    outer: { ...transformer({ token_embd: 'wte', output_norm: 'norm_f' }), output: 'lm_head' },
    config: (numbers) => ({
      d_model: numbers.number('embedding_length'),
      n_heads: numbers.number('attention.head_count'),
      n_layers: numbers.layers,
      max_seq_len: numbers.number('context_length'),
      attn_config: {
        alibi: true,
        alibi_bias_max: numbers.number('attention.max_alibi_bias'),
        clip_qkv: numbers.optional('attention.clamp_kqv') || null,
      },
      ...TURNS_NOTHING,
      ...OWN_KEYS,
    }),
  },
  chatglm: {
    modelType: 'chatglm',
    architectures: 'ChatGLMForConditionalGeneration',
    layers: 'transformer.encoder.layers',
    layer: {
      attn_norm: 'input_layernorm',
      attn_qkv: 'self_attention.query_key_value',
      attn_output: 'self_attention.dense',
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.dense_h_to_4h',
      ffn_down: 'mlp.dense_4h_to_h',
    },
    outer: transformer({
      token_embd: 'embedding.word_embeddings',
      output_norm: 'encoder.final_layernorm',
      output: 'output_layer',
    }),
    config: (numbers) => ({
      num_layers: numbers.layers,
      ffn_hidden_size: numbers.number('feed_forward_length'),
      kv_channels: 2 * numbers.number('rope.dimension_count'),
      multi_query_attention: true,
      multi_query_group_num: numbers.number('attention.head_count_kv'),
      layernorm_epsilon: numbers.number('attention.layer_norm_rms_epsilon'),
      seq_length: numbers.number('context_length'),
      rope_ratio: (numbers.optional('rope.freq_base') ?? 10_000) / 10_000,
      add_qkv_bias: numbers.has('blk.0.attn_qkv.bias'),
      add_bias_linear: false,
      original_rope: true,
      ...{
        rms_norm_eps: undefined,
        rope_theta: undefined,
        num_key_value_heads: undefined,
        head_dim: undefined,
      },
    }),
  },
  minicpm3: {
    modelType: 'minicpm3',
    architectures: 'MiniCPM3ForCausalLM',
    layer: { ...LLAMA, ...PROJECTED_LATENTS },
    changes: { attn_kv_b: asFloats },
    config: (numbers) => ({
      ...latentSizes(numbers),
      v_head_dim: numbers.number('embedding_length') / numbers.number('attention.head_count'),
      ...{ scale_emb: 12, scale_depth: 1.4, dim_model_base: 256 },
    }),
  },
};
