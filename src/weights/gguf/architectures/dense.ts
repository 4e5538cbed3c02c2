import {
  ATTENTION,
  GATED_MLP,
  type GgufArchitecture,
  HEAD_NORMS,
  LLAMA,
  rotaryPart,
  toldWindowTypes,
  windowTypes,
  yarn,
} from '../architecture.js';
import { TURNS_NEIGHBOURS } from '../changes.js';
import type { GgufNumbers } from '../numbers.js';

/** Norms of heads as Hunyuan calls them. */
export const HUNYUAN_NORMS = {
  attn_q_norm: 'self_attn.query_layernorm',
  attn_k_norm: 'self_attn.key_layernorm',
};

/** OLMo 2's layers, whose norms stand behind attention and MLP. */
const NORMED_BEHIND = {
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ...HEAD_NORMS,
  post_attention_norm: 'post_attention_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
  ...GATED_MLP,
};

export const layerNormEps = (numbers: GgufNumbers) => ({
  layer_norm_eps: numbers.number('attention.layer_norm_epsilon'),
});

/** What Command R and its successors have alike. */
const command = (numbers: GgufNumbers) => ({
  ...layerNormEps(numbers),
  logit_scale: numbers.number('logit_scale'),
});

/** Models whose layers have attention and one MLP each, most used first. */
export const DENSE: Readonly<Record<string, GgufArchitecture>> = {
  // Llama, and Mistral, whose class is the same.
  llama: {
    modelType: 'llama',
    architectures: 'LlamaForCausalLM',
    layer: LLAMA,
    changes: TURNS_NEIGHBOURS,
    saysBiases: true,
  },
  qwen2: { modelType: 'qwen2', architectures: 'Qwen2ForCausalLM', layer: LLAMA },
  qwen3: { modelType: 'qwen3', architectures: 'Qwen3ForCausalLM', layer: { ...LLAMA, ...HEAD_NORMS } },
  // Positions of text are plain, however those of pictures are counted.
  qwen2vl: { modelType: 'qwen2', architectures: 'Qwen2ForCausalLM', layer: LLAMA },
  qwen3vl: { modelType: 'qwen3', architectures: 'Qwen3ForCausalLM', layer: { ...LLAMA, ...HEAD_NORMS } },
  phi3: {
    modelType: 'phi3',
    architectures: 'Phi3ForCausalLM',
    layer: {
      attn_norm: 'input_layernorm',
      attn_qkv: 'self_attn.qkv_proj',
      attn_output: 'self_attn.o_proj',
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.gate_up_proj',
      ffn_down: 'mlp.down_proj',
    },
    config: (numbers) => ({
      sliding_window: numbers.optional('attention.sliding_window') || null,
      ...rotaryPart(numbers),
    }),
  },
  mistral3: {
    modelType: 'ministral3',
    architectures: 'Ministral3ForCausalLM',
    layer: LLAMA,
    changes: TURNS_NEIGHBOURS,
    // Files of Mistral Small 3 say nothing of scaling.
    config: (numbers) => {
      const stretch = numbers.optional('rope.scaling.yarn_log_multiplier');
      const scaling = stretch !== undefined && {
        rope_parameters: {
          ...yarn(numbers),
          rope_theta: numbers.number('rope.freq_base'),
          mscale: stretch,
          mscale_all_dim: stretch,
          llama_4_scaling_beta: numbers.optional('attention.temperature_scale'),
        },
        ...{ rope_scaling: undefined, rope_theta: undefined },
      };
      return { sliding_window: null, ...scaling };
    },
  },
  granite: {
    modelType: 'granite',
    architectures: 'GraniteForCausalLM',
    layer: LLAMA,
    changes: TURNS_NEIGHBOURS,
    config: (numbers) => graniteScales(numbers),
  },
  smollm3: {
    modelType: 'smollm3',
    architectures: 'SmolLM3ForCausalLM',
    layer: LLAMA,
    changes: TURNS_NEIGHBOURS,
    // Every fourth layer has no rotary embedding, which the files do not say.
    config: () => ({ no_rope_layer_interval: 4 }),
  },
  glm4: {
    modelType: 'glm4',
    architectures: 'Glm4ForCausalLM',
    layer: {
      ...ATTENTION,
      post_attention_norm: 'post_self_attn_layernorm',
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.gate_up_proj',
      ffn_down: 'mlp.down_proj',
      post_ffw_norm: 'post_mlp_layernorm',
    },
    saysBiases: true,
    config: rotaryPart,
  },
  seed_oss: {
    modelType: 'seed_oss',
    architectures: 'SeedOssForCausalLM',
    // What stands before the MLP is called as what stands behind attention elsewhere.
    layer: { ...ATTENTION, ...GATED_MLP, post_attention_norm: 'post_attention_layernorm' },
    saysBiases: true,
    config: () => ({ attention_out_bias: false }),
  },
  ernie4_5: {
    modelType: 'ernie4_5',
    architectures: 'Ernie4_5ForCausalLM',
    layer: LLAMA,
    config: () => ({ use_bias: false }),
  },
  'hunyuan-dense': {
    modelType: 'hunyuan_v1_dense',
    architectures: 'HunYuanDenseV1ForCausalLM',
    layer: { ...LLAMA, ...HUNYUAN_NORMS },
  },
  olmo: {
    modelType: 'olmo',
    architectures: 'OlmoForCausalLM',
    layer: LLAMA,
    changes: TURNS_NEIGHBOURS,
    config: (numbers) => ({ clip_qkv: numbers.optional('attention.clamp_kqv') || null }),
  },
  olmo2: { modelType: 'olmo2', architectures: 'Olmo2ForCausalLM', layer: NORMED_BEHIND },
  // A Llama under names of its own.
  exaone: { modelType: 'llama', architectures: 'LlamaForCausalLM', layer: LLAMA },
  exaone4: {
    modelType: 'exaone4',
    architectures: 'Exaone4ForCausalLM',
    layer: NORMED_BEHIND,
    config: (numbers) => {
      const window = numbers.optional('attention.sliding_window') || null;
      return {
        sliding_window: window,
        layer_types: window === null ? windowTypes(numbers, 1) : toldWindowTypes(numbers, 4),
      };
    },
  },
  'command-r': {
    modelType: 'cohere',
    architectures: 'CohereForCausalLM',
    layer: { ...ATTENTION, ...GATED_MLP, ...HEAD_NORMS },
    config: (numbers) => ({ ...command(numbers), use_qk_norm: numbers.has('blk.0.attn_q_norm.weight') }),
  },
  cohere2: {
    modelType: 'cohere2',
    architectures: 'Cohere2ForCausalLM',
    layer: { ...ATTENTION, ...GATED_MLP },
    config: (numbers) => ({
      ...command(numbers),
      sliding_window: numbers.number('attention.sliding_window'),
      layer_types: windowTypes(numbers, 4),
    }),
  },
  starcoder2: {
    modelType: 'starcoder2',
    architectures: 'Starcoder2ForCausalLM',
    layer: {
      ...ATTENTION,
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.c_fc',
      ffn_down: 'mlp.c_proj',
    },
    config: (numbers) => ({
      hidden_act: 'gelu_pytorch_tanh',
      norm_epsilon: numbers.number('attention.layer_norm_epsilon'),
      use_bias: true,
    }),
  },
  nemotron: {
    modelType: 'nemotron',
    architectures: 'NemotronForCausalLM',
    layer: {
      ...ATTENTION,
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.up_proj',
      ffn_down: 'mlp.down_proj',
    },
    wholeNorms: { butNot: [] },
    config: (numbers) => ({
      hidden_act: 'relu2',
      rms_norm_eps: undefined,
      norm_eps: numbers.number('attention.layer_norm_epsilon'),
      ...rotaryPart(numbers),
    }),
  },
  arcee: {
    modelType: 'arcee',
    architectures: 'ArceeForCausalLM',
    layer: {
      ...ATTENTION,
      ffn_norm: 'post_attention_layernorm',
      ffn_up: 'mlp.up_proj',
      ffn_down: 'mlp.down_proj',
    },
    changes: TURNS_NEIGHBOURS,
    config: () => ({ hidden_act: 'relu2' }),
  },
  // Llamas whose published files pack queries, keys and values, which GGUF has apart.
  internlm2: {
    modelType: 'llama',
    architectures: 'LlamaForCausalLM',
    layer: LLAMA,
    changes: TURNS_NEIGHBOURS,
    saysBiases: true,
  },
  baichuan: {
    modelType: 'llama',
    architectures: 'LlamaForCausalLM',
    layer: LLAMA,
    changes: TURNS_NEIGHBOURS,
    config: (numbers) =>
      numbers.layers === 40
        ? numbers.fail(
            'baichuan of 40 layers has ALiBi, which is not read of GGUF: take its Hugging Face checkpoint',
          )
        : {},
  },
  minicpm: {
    modelType: 'granite',
    architectures: 'GraniteForCausalLM',
    layer: LLAMA,
    changes: TURNS_NEIGHBOURS,
    config: (numbers) => ({
      ...graniteScales(numbers),
      attention_multiplier:
        (numbers.number('embedding_length') / numbers.number('attention.head_count')) ** -0.5,
    }),
  },
};

/** The scales of Granite. */
export function graniteScales(numbers: GgufNumbers) {
  return {
    embedding_multiplier: numbers.optional('embedding_scale') ?? 1,
    attention_multiplier: numbers.optional('attention.scale'),
    residual_multiplier: numbers.optional('residual_scale') ?? 1,
    logits_scaling: numbers.optional('logit_scale') ?? 1,
  };
}
