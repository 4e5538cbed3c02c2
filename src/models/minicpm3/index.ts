import { LatentAttention } from '../../layers/attention/latent-attention.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  fullAttention,
  latentAttention,
  mlp,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LlamaLayer, LlamaModelATB, type MakeLayer } from '../llama/index.js';
import { minicpmScales } from '../minicpm/index.js';

/** Defaults of transformers 5.24, MiniCPM3Config. */
const MINICPM3_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...latentAttention({
      qLoraRank: 768,
      kvLoraRank: 256,
      qkNopeHeadDim: 64,
      qkRopeHeadDim: 32,
      vHeadDim: 'hidden_size / num_attention_heads',
    }),
    ...mlp({ hiddenAct: 'silu' }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    ...minicpmScales({ scaleEmb: 12, scaleDepth: 1.4, dimModelBase: 256 }),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000 }),
    slidingWindows: fullAttention,
  },
});
type Minicpm3Config = ConfigOf<typeof MINICPM3_CONFIG>;

/** MiniCPM with latent attention. */
export class FlashMinicpm3ForCausalLMATB extends FlashForCausalLMATB<Minicpm3Config> {
  readonly name: string = 'minicpm3';
  protected readonly model: LlamaModelATB;

  constructor(config: Minicpm3Config, weights: Weights) {
    super(config, weights, { scale: 1 / config.logitsScaling });
    const { residualMultiplier: outputScale, embeddingMultiplier } = config;
    const layer: MakeLayer = (layerId, at) => {
      const selfAttn = new LatentAttention(layerId, config, at.at('self_attn'), { outputScale });
      const mlp = new BaseMLP(config, at.at('mlp'), { outputScale });
      return new LlamaLayer(layerId, config, at, { selfAttn, mlp });
    };
    this.model = new LlamaModelATB(config, weights.at('model'), layer, embeddingMultiplier);
  }
}

export const Minicpm3Router = routerOf(MINICPM3_CONFIG, FlashMinicpm3ForCausalLMATB, {
  about: {
    kind: 'llama',
    features: ['latent attention', 'scaled embeddings, residuals and logits', 'longrope'],
    reference: 'transformers',
  },
});
registerModel('minicpm3', Minicpm3Router);
