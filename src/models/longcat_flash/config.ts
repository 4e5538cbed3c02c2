import {
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  experts,
  type Field,
  field,
  fullAttention,
  integer,
  LAYERS,
  latentAttention,
  mlp,
  only,
  positive,
  required,
  rotaryConfig,
  routedScalingFactor,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';

const numLayers = field('num_layers', LAYERS, required);

/** A layer of the checkpoint is two here, each with attention and an MLP. Files may count either. */
const numHiddenLayers: Field<number> = {
  read(json) {
    const layers = numLayers.read(json, {});
    const found = json.value('num_hidden_layers', integer(1, 2000)) ?? layers;
    if (found !== layers && found !== 2 * layers)
      json.problem(`num_hidden_layers must be num_layers (${layers}) or twice that, found ${found}`);
    return 2 * layers;
  },
};

/** Experts stand in the first of both. */
const sparseLayers: Field<readonly boolean[], { readonly numHiddenLayers: number }> = {
  read: (_, { numHiddenLayers: length }) => Array.from({ length }, (_each, layer) => layer % 2 === 0),
};

/** Defaults of transformers 5.24, LongcatFlashConfig. */
export const LONGCAT_FLASH_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    numHiddenLayers,
    ...latentAttention({
      qLoraRank: 1536,
      kvLoraRank: 512,
      qkNopeHeadDim: 128,
      qkRopeHeadDim: 64,
      vHeadDim: 128,
    }),
    qLoraRank: field('q_lora_rank', WIDTH, 1536),
    ...mlp({ hiddenAct: 'silu' }),
    intermediateSize: field(['ffn_hidden_size', 'intermediate_size'], WIDTH, 12_288),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: 512,
      numExpertsPerToken: 12,
      moeIntermediateSize: 2048,
      normTopkProb: false,
      names: {
        numExperts: ['n_routed_experts', 'num_local_experts'],
        numExpertsPerToken: ['moe_topk', 'num_experts_per_tok'],
      },
    }),
    moeIntermediateSize: field(['expert_ffn_hidden_size', 'moe_intermediate_size'], WIDTH, 2048),
    normTopkProb: field('norm_topk_prob', only(false), false),
    zeroExperts: field('zero_expert_num', integer(0, 10_000), 256),
    zeroKind: field('zero_expert_type', only('identity'), 'identity'),
    routerBias: field('router_bias', only(false), false),
    routedScalingFactor: routedScalingFactor(6),
    scoring: constant('softmax' as const),
    attentionKind: field('attention_method', only('MLA'), 'MLA'),
    scalesQueries: field('mla_scale_q_lora', only(true), true),
    scalesLatent: field('mla_scale_kv_lora', only(true), true),
    sparseLayers,
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000_000, interleaved: true }),
    slidingWindows: fullAttention,
  },
  irrelevant: { qk_head_dim: 'is the sum of both parts of a head' },
});
export type LongcatFlashConfig = ConfigOf<typeof LONGCAT_FLASH_CONFIG>;
