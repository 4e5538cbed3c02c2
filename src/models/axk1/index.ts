import { LatentAttention } from '../../layers/attention/latent-attention.js';
import {
  type ConfigOf,
  constant,
  defineConfig,
  expertGroups,
  field,
  only,
  sparseByType,
} from '../../layers/config/index.js';
import { NormedStep } from '../../layers/decoder/decoder-layers.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from '../deepseek_v2/index.js';
import { deepseekV3Rope, SIGMOID } from '../deepseek_v3/index.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Defaults of transformers 5.24, AXK1Config. */
const AXK1_CONFIG = defineConfig({
  fields: {
    ...deepseek({
      qLoraRank: 1536,
      kvLoraRank: 512,
      qkNopeHeadDim: 128,
      qkRopeHeadDim: 64,
      vHeadDim: 128,
      experts: { numExperts: 192, numExpertsPerToken: 8, moeIntermediateSize: 2048, normTopkProb: true },
      sharedExperts: 1,
      firstDenseLayers: 1,
      routedScalingFactor: 2.5,
      mlpBias: false,
    }),
    sparseLayers: sparseByType({ dense: 1 }),
    scoring: SIGMOID,
    choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
    sumGuard: constant({ added: 1e-20 }),
    expertGroups: expertGroups({ count: 8, kept: 4, scored: 2 }),
    rope: deepseekV3Rope,
  },
  irrelevant: DEEPSEEK_IRRELEVANT,
});
type AXK1Config = ConfigOf<typeof AXK1_CONFIG>;

/** The checkpoint's name of the norm of what experts give. Layers without experts have one, too, which nobody reads. */
const NORM = 'post_mlp_layernorm';
/** Published checkpoints have no correction of the choice. */
const CORRECTION = 'gate.e_score_correction_bias';

/** DeepSeek-V3 with a norm behind its experts. */
export class FlashAXK1ForCausalLMATB extends FlashLlamaForCausalLMATB<AXK1Config> {
  override readonly name = 'axk1';

  constructor(config: AXK1Config, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const selfAttn = new LatentAttention(layerId, config, at.at('self_attn'));
      if (!config.sparseLayers[layerId])
        return new LlamaLayer(layerId, config, at, { selfAttn, variant: 'dense' });
      const mlp = at.at('mlp');
      const correction = mlp.has(CORRECTION) ? CORRECTION : undefined;
      const norm = new BaseRMSNorm(at.at(NORM), config.hiddenSize, config.rmsNormEps);
      const experts = new NormedStep(sigmoidExperts(config, mlp, { correction }), norm);
      return new LlamaLayer(layerId, config, at, { selfAttn, mlp: experts });
    });
  }
}

export const AXK1Router = routerOf(AXK1_CONFIG, FlashAXK1ForCausalLMATB, {
  harmlessTensors: ({ sparseLayers }) =>
    sparseLayers.flatMap((isSparse, layer) => (isSparse ? [] : [RegExp(`\\.${layer}\\.${NORM}\\.`)])),
  about: {
    kind: 'experts',
    features: ['as deepseek_v3', 'norms behind experts', 'a choice without a correction'],
    reference: 'transformers',
  },
});
registerModel('axk1', AXK1Router);
