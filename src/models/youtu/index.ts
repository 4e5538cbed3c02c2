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
  textModel,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { deepseekV3Rope } from '../deepseek_v3/index.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Defaults of transformers 5.24, YoutuConfig. */
const YOUTU_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...latentAttention({
      qLoraRank: 1536,
      kvLoraRank: 512,
      qkNopeHeadDim: 128,
      qkRopeHeadDim: 64,
      vHeadDim: 128,
    }),
    ...mlp({ hiddenAct: 'silu' }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
    rope: deepseekV3Rope,
    slidingWindows: fullAttention,
  },
  irrelevant: {
    qk_head_dim: 'is the sum of both parts of a head',
    mlp_bias: 'YoutuMLP has no biases',
    embedding_initializer_range: 'is used in training alone',
  },
});
type YoutuConfig = ConfigOf<typeof YOUTU_CONFIG>;

/** Llama with DeepSeek-V3's latent attention. */
export class FlashYoutuForCausalLMATB extends FlashLlamaForCausalLMATB<YoutuConfig> {
  override readonly name = 'youtu';

  constructor(config: YoutuConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const selfAttn = new LatentAttention(layerId, config, at.at('self_attn'));
      return new LlamaLayer(layerId, config, at, { selfAttn });
    });
  }
}

export const YoutuRouter = routerOf(YOUTU_CONFIG, FlashYoutuForCausalLMATB, {
  about: { kind: 'llama', features: ['latent attention'], reference: 'transformers' },
});
registerModel('youtu', YoutuRouter);
