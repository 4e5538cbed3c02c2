import {
  type ConfigOf,
  defineConfig,
  EXPERTS,
  expertsPerToken,
  type Field,
  field,
  inEveryLayer,
  keysBecause,
  only,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { HUNYUAN_FIELDS, HUNYUAN_IRRELEVANT, HunyuanAttention } from '../hunyuan_v1_dense/index.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

/** Lists for each layer in published files; transformers gives experts the width of other families' MLPs. */
const widthOfAll: Field<number, { readonly intermediateSize: number; readonly numHiddenLayers: number }> = {
  read(json, config) {
    const { intermediateSize } = config;
    return inEveryLayer('moe_intermediate_size', only(intermediateSize), intermediateSize).read(json, config);
  },
};

/** Defaults of transformers 5.24, HunYuanMoEV1Config. */
const HUNYUAN_MOE_CONFIG = defineConfig({
  fields: {
    ...HUNYUAN_FIELDS,
    numExperts: inEveryLayer('num_experts', EXPERTS, 1),
    numExpertsPerToken: expertsPerToken('moe_topk', inEveryLayer('moe_topk', EXPERTS, 1)),
    moeIntermediateSize: widthOfAll,
    normTopkProb: field('norm_topk_prob', only(true), true),
    numSharedExperts: inEveryLayer('num_shared_expert', only(1), 1),
    hasSharedExpert: field('use_mixed_mlp_moe', only(true), true),
    routedScalingFactor: field('routed_scaling_factor', only(1), 1),
    isGroupLimited: field('group_limited_greedy', only(false), false),
    skippedLayers: field('moe_layer_num_skipped', only(0), 0),
    hasXdrope: field('position_embedding_xdrope', only(false), false),
  },
  irrelevant: {
    ...HUNYUAN_IRRELEVANT,
    ...keysBecause('limits experts in training alone', 'moe_drop_tokens', 'moe_random_routing_dropped_token'),
    ...keysBecause(
      'belongs to pictures, which the checkpoint has no weights for',
      ...['anyres_pooling_size', 'anyres_vit_two_views', 'num_media_embeds', 'skip_cls_token'],
      ...['vit_add_patchemb_bias', 'vit_input_resolution', 'vit_mapping_type', 'vit_norm_type', 'vit_patch'],
      ...['vit_remove_prenorm', 'vit_token', 'vit_used_rms_norm', 'video_start_id', 'video_end_id'],
    ),
  },
});

type HunyuanMoeConfig = ConfigOf<typeof HUNYUAN_MOE_CONFIG>;

/** Hunyuan with experts in place of all MLPs, beside an MLP that all tokens pass through (arXiv:2411.02265, section 2). */
export class FlashHunyuanMoeForCausalLMATB extends FlashSparseLlamaATB<HunyuanMoeConfig> {
  readonly name = 'hunyuan_v1_moe';

  constructor(config: HunyuanMoeConfig, weights: Weights) {
    super(config, weights, {
      selfAttn: (layerId, at) => new HunyuanAttention(layerId, config, at),
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at, { gate: 'gate.wg.weight' }),
          experts: new Experts(config, at.at('experts')),
          shared: new BaseMLP(config, at.at('shared_mlp')),
        }),
    });
  }
}

export const HunyuanMoeRouter = routerOf(HUNYUAN_MOE_CONFIG, FlashHunyuanMoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['norms of q and k after rotary', 'a shared expert'],
    reference: 'transformers',
  },
});
registerModel('hunyuan_v1_moe', HunyuanMoeRouter);
