import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  field,
  flag,
  integer,
  LLAMA_DEFAULTS,
  layerKinds,
  positive,
  rotaryByWindow,
  slidingMixers,
} from '../../layers/config/index.js';
import { PreNormLayer, SandwichLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { ShortConv } from '../../layers/recurrent/short-conv.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { lfm2MLP } from '../lfm2/index.js';
import { Qwen3Attention } from '../qwen3/index.js';
import { HeadGatedAttention } from './attention.js';

const MIXERS = ['conv', 'full_attention', 'sliding_attention'] as const;
type Mixer = (typeof MIXERS)[number];

/** What mixes the tokens of a layer where the file does not say it. */
function usualMixer(layer: number): Mixer {
  if (layer % 4 === 2) return 'full_attention';
  return layer % 4 === 0 && layer > 0 ? 'sliding_attention' : 'conv';
}

/** Defaults of transformers 5.24, Lfm3Config. */
const LFM3_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 128, tieWordEmbeddings: true }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    rmsNormEps: field(['norm_eps', 'rms_norm_eps'], positive(1), 1e-5),
    convTaps: field('conv_L_cache', integer(2, 64), 7),
    convBias: field('conv_bias', flag, false),
    hasSandwiches: field('use_sandwich_norm', flag, true),
    gatesHeads: field('use_attention_gate', flag, true),
    mixers: layerKinds(MIXERS, usualMixer),
    slidingWindows: slidingMixers(256),
    ...rotaryByWindow({
      full_attention: { theta: 1_000_000, isScaled: false, keepsF32: true },
      sliding_attention: { theta: 10_000, isScaled: false, keepsF32: true },
    }),
  },
});
type Lfm3Config = ConfigOf<typeof LFM3_CONFIG>;

/** Liquid's third generation: as the second, in sandwiches, attention with windows and gates of heads. */
export class FlashLfm3ForCausalLMATB extends FlashForCausalLMATB<Lfm3Config> {
  readonly name = 'lfm3';
  protected readonly model: BaseModelATB;

  constructor(config: Lfm3Config, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const Attention = config.gatesHeads ? HeadGatedAttention : Qwen3Attention;
    this.model = new BaseModelATB(config, weights.at('model'), {
      layer: (layerId, at) => {
        const mixer = config.mixers[layerId] as Mixer;
        const selfAttn =
          mixer === 'conv'
            ? new ShortConv(layerId, config, at.at('conv'))
            : new Attention(layerId, config, at.at('self_attn'));
        const mlp = lfm2MLP(config, at.at('feed_forward'));
        const [before, beforeMlp] = [norm(at.at('operator_norm')), norm(at.at('ffn_norm'))];
        if (!config.hasSandwiches) {
          const parts = { inputLayernorm: before, selfAttn, postAttentionLayernorm: beforeMlp, mlp };
          return new PreNormLayer(layerId, at, parts, mixer);
        }
        const [after, afterMlp] = [norm(at.at('post_operator_norm')), norm(at.at('post_ffn_norm'))];
        const parts = { beforeAttention: before, selfAttn, afterAttention: after, beforeMlp, mlp, afterMlp };
        return new SandwichLayer(layerId, at, parts, mixer);
      },
      norm: norm(weights.at('model').at('embedding_norm')),
    });
  }
}

export const Lfm3Router = routerOf(LFM3_CONFIG, FlashLfm3ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['as lfm2', 'sandwich norms', 'gates of heads', 'windows by layer', 'two rotary embeddings'],
    reference: 'transformers',
  },
});
registerModel('lfm3', Lfm3Router);
