import { NormedRotaryAttention, projectionNorms } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  type ConfigReader,
  type DecoderConfig,
  decoder,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  integer,
  keysBecause,
  LLAMA_DEFAULTS,
  layersOfType,
  listOf,
  positive,
  SIZE,
  WIDTH,
} from '../../layers/config/index.js';
import { type LayerStep, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP, type MLPConfig } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm, HeadNorm } from '../../layers/norms/norms.js';
import { ShortConv, type ShortConvConfig } from '../../layers/recurrent/short-conv.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** The width of MLPs: two thirds of what is named, times a factor, up to a multiple, unless that is switched off. */
const intermediateSize: Field<number> = {
  read(json) {
    const newer = field('intermediate_size', WIDTH, 12_288).read(json, {});
    const named = json.value('block_ff_dim', WIDTH) ?? newer;
    const adjusts = field('block_auto_adjust_ff_dim', flag, true).read(json, {});
    const isUnrounded = json.isNull('block_ffn_dim_multiplier');
    const factor = json.value('block_ffn_dim_multiplier', positive(1000)) ?? 1;
    const multiple = field('block_multiple_of', SIZE, 256).read(json, {});
    if (!adjusts) return named;
    const width = Math.trunc((2 * named) / 3);
    return isUnrounded ? width : multiple * Math.ceil(Math.trunc(factor * width) / multiple);
  },
};

/** Those that `full_attn_idxs` names; all without it. */
function attendingLayers(json: ConfigReader): (layer: number) => boolean {
  const named = json.optional('full_attn_idxs', listOf(integer(0, 1000), 'numbers of layers'));
  return (layer) => named?.includes(layer) ?? true;
}

/** What LFM2 and its relatives have. Defaults of transformers 5.24, Lfm2Config and Lfm2MoeConfig. */
export const LFM2_FIELDS = {
  ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, ropeTheta: 1_000_000, tieWordEmbeddings: true }),
  ...biases({ qkv: false, dense: false, mlp: false }),
  tieWordEmbeddings: field(['tie_embedding', 'tie_word_embeddings'], flag, true),
  rmsNormEps: field('norm_eps', positive(1), 1e-5),
  convTaps: field('conv_L_cache', integer(2, 64), 3),
  convBias: field('conv_bias', flag, false),
  attends: layersOfType('full_attention', 'conv', attendingLayers),
  slidingWindows: fullAttention,
};

const LFM2_CONFIG = defineConfig({
  fields: { ...LFM2_FIELDS, intermediateSize },
  irrelevant: {
    ...keysBecause(
      'is a size under another name, which Lfm2Config does not read',
      ...[
        'block_dim',
        'conv_dim',
        'conv_dim_out',
        'num_heads',
        'block_norm_eps',
        'use_pos_enc',
        'block_use_swiglu',
      ],
    ),
    ...keysBecause(
      'says how training began',
      ...['block_mlp_init_scale', 'block_out_init_scale', 'block_use_xavier_init', 'conv_use_xavier_init'],
    ),
  },
});
type Lfm2Config = ConfigOf<typeof LFM2_CONFIG>;

/** What the layers of these families are told. */
interface Lfm2LayersConfig extends DecoderConfig, ShortConvConfig {
  /** For each layer, whether it has attention. */
  readonly attends: readonly boolean[];
  /** For each layer, whether its MLP is experts; none are when absent. */
  readonly sparseLayers?: readonly boolean[];
}

/** The MLP of a layer. `weights` is its cursor. */
export const lfm2MLP = (config: MLPConfig, weights: Weights): BaseMLP =>
  new BaseMLP(config, weights, { names: { gate: 'w1', up: 'w3', down: 'w2' } });

/** A model of short convolutions and, in between, of attention. `weights` is its cursor. */
export function lfm2Model(
  config: Lfm2LayersConfig,
  weights: Weights,
  mlp: (layerId: number, at: Weights) => LayerStep,
): BaseModelATB {
  const { hiddenSize, rmsNormEps, attends, sparseLayers } = config;
  const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, rmsNormEps);
  const attention = (layerId: number, at: Weights) => {
    const norms = projectionNorms(
      config,
      (of, heads) => new HeadNorm(at.at(`${of}_layernorm`), { ...config, heads }, rmsNormEps),
    );
    return new NormedRotaryAttention(layerId, config, at, norms, { dense: 'out_proj' });
  };
  return new BaseModelATB(config, weights, {
    layer: (layerId, at) => {
      const parts = {
        inputLayernorm: norm(at.at('operator_norm')),
        selfAttn: attends[layerId]
          ? attention(layerId, at.at('self_attn'))
          : new ShortConv(layerId, config, at.at('conv')),
        postAttentionLayernorm: norm(at.at('ffn_norm')),
        mlp: mlp(layerId, at.at('feed_forward')),
      };
      const variant = [attends[layerId] ? '' : 'conv', sparseLayers?.[layerId] ? 'sparse' : ''];
      return new PreNormLayer(layerId, at, parts, variant.filter((part) => part !== '').join('_'));
    },
    norm: norm(weights.at('embedding_norm')),
  });
}

/** Liquid's second generation: most layers mix tokens by short convolutions, some by attention (arXiv:2511.23404). */
export class FlashLfm2ForCausalLMATB extends FlashForCausalLMATB<Lfm2Config> {
  readonly name = 'lfm2';
  protected readonly model: BaseModelATB;

  constructor(config: Lfm2Config, weights: Weights) {
    super(config, weights);
    this.model = lfm2Model(config, weights.at('model'), (_, at) => lfm2MLP(config, at));
  }
}

export const Lfm2Router = routerOf(LFM2_CONFIG, FlashLfm2ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['short convolutions in most layers', 'norms of q and k'],
    reference: 'transformers',
  },
});
registerModel('lfm2', Lfm2Router);
