import { PositionFreeAttention, RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  integer,
  keysBecause,
  layersOfType,
  mamba2,
  oneOf,
  type RotarySizes,
  rotaryConfig,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { Mamba2Mixer } from '../../layers/recurrent/mamba2.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GRANITEMOE_FIELDS, graniteMLP, sharedWidth } from '../granitemoe/index.js';

const COUNT = integer(0, 10_000);

/** Of `position_embedding_type` "rope". Other models know positions by their states alone. */
const ropeWhereNamed: Field<RopeConfig | undefined, RotarySizes> = {
  read(json, config) {
    const rope = rotaryConfig({ theta: 10_000 }).read(json, config);
    return json.value('position_embedding_type', oneOf('rope', 'nope')) === 'rope' ? rope : undefined;
  },
};

/** Defaults of transformers 5.24, GraniteMoeHybridConfig. */
const GRANITEMOEHYBRID_CONFIG = defineConfig({
  fields: {
    ...GRANITEMOE_FIELDS,
    numExperts: field(['num_local_experts', 'num_experts'], COUNT, 8),
    numExpertsPerToken: field('num_experts_per_tok', COUNT, 2),
    sharedWidth: sharedWidth(1024),
    ...mamba2({ heads: 128, stateSize: 256 }),
    rope: ropeWhereNamed,
    mixesByState: layersOfType(
      ['mamba', 'linear_attention'],
      ['attention', 'full_attention'],
      () => () => true,
    ),
  },
  irrelevant: {
    mamba_chunk_size: 'says how kernels of GPUs cut prompts',
    ...keysBecause('is not read by GraniteMoeHybridConfig', 'normalization_function', 'init_method'),
  },
});
type GraniteMoeHybridConfig = ConfigOf<typeof GRANITEMOEHYBRID_CONFIG>;

/** Granite 4: mixers of Mamba-2 and, in between, attention, before experts, an MLP that all tokens pass through, or both. */
export class FlashGraniteMoeHybridForCausalLMATB extends FlashForCausalLMATB<GraniteMoeHybridConfig> {
  readonly name = 'granitemoehybrid';
  protected readonly model: BaseModelATB;

  constructor(config: GraniteMoeHybridConfig, weights: Weights) {
    super(config, weights, { scale: 1 / config.logitsScaling });
    const { attentionMultiplier: scale, residualMultiplier: outputScale, embeddingMultiplier } = config;
    const Attention = config.rope ? RotaryAttention : PositionFreeAttention;
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    this.model = new BaseModelATB(config, weights.at('model'), {
      layer: (layerId, at) => {
        const mixes = config.mixesByState[layerId];
        const parts = {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: mixes
            ? new Mamba2Mixer(layerId, config, at.at('mamba'), { outputScale })
            : new Attention(layerId, config, at.at('self_attn'), { scale, outputScale }),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: graniteMLP(config, at),
        };
        return new PreNormLayer(layerId, at, parts, mixes ? 'mamba' : '');
      },
      norm: norm(weights.at('model').at('norm')),
      embeddingScale: embeddingMultiplier,
    });
  }
}

export const GraniteMoeHybridRouter = routerOf(GRANITEMOEHYBRID_CONFIG, FlashGraniteMoeHybridForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as granite', 'mixers of Mamba-2', 'a shared expert', 'layers without rotary'],
    reference: 'transformers',
  },
});
registerModel('granitemoehybrid', GraniteMoeHybridRouter);
