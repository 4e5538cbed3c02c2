import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  type Field,
  field,
  fullAttention,
  HEADS,
  integer,
  LLAMA_DEFAULTS,
  layersOfType,
  SIZE,
  sparseBySteps,
  WIDTH,
} from '../../layers/config/index.js';

/** Heads of keys are shared by as many heads of values each. */
const valueHeads = (fallback: number): Field<number, { readonly keyHeads: number }> => ({
  read(json, { keyHeads }) {
    const found = json.value('linear_num_value_heads', HEADS) ?? fallback;
    if (found % keyHeads !== 0)
      json.problem(
        `linear_num_value_heads (${found}) must be a multiple of linear_num_key_heads (${keyHeads})`,
      );
    return found;
  },
});

/** What a gated delta net is told. */
export const deltaNetFields = (defaults: { readonly keyHeads: number; readonly valueHeads: number }) => ({
  keyHeads: field('linear_num_key_heads', HEADS, defaults.keyHeads),
  valueHeads: valueHeads(defaults.valueHeads),
  keySize: field('linear_key_head_dim', SIZE, 128),
  valueSize: field('linear_value_head_dim', SIZE, 128),
  convTaps: field('linear_conv_kernel_dim', integer(2, 64), 4),
});

/** What Qwen3-Next and Qwen3.5 have in common. Defaults of transformers 5.24. */
export const hybridFields = (numKeyValueHeads: number) => ({
  ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads, headDim: 256, rotary: { factor: 0.25 } }),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  ...deltaNetFields({ keyHeads: 16, valueHeads: 32 }),
  linearLayers: layersOfType('linear_attention', 'full_attention', (json) => {
    const interval = field('full_attention_interval', integer(1, 1000), 4).read(json, {});
    return (layer) => (layer + 1) % interval !== 0;
  }),
  slidingWindows: fullAttention,
});

/** What experts are told, with the one that all tokens share. */
export const hybridExperts = (numExperts: number, numExpertsPerToken: number) => ({
  ...experts({ numExperts, numExpertsPerToken, moeIntermediateSize: 512, normTopkProb: true }),
  sharedIntermediateSize: field('shared_expert_intermediate_size', WIDTH, 512),
});

/** Defaults of transformers 5.24, Qwen3NextConfig. */
export const QWEN3_NEXT_CONFIG = defineConfig({
  fields: { ...hybridFields(2), ...hybridExperts(512, 10), sparseLayers: sparseBySteps },
});
export type Qwen3NextConfig = ConfigOf<typeof QWEN3_NEXT_CONFIG>;
