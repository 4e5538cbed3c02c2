import { NormedAttention, NormedRotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  HEADS,
  integer,
  keysBecause,
  LLAMA_DEFAULTS,
  layersOfType,
  only,
  type RotarySizes,
  rotaryConfig,
  SIZE,
} from '../../layers/config/index.js';
import { NormedResultLayer, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  type DeltaNetConfig,
  type DeltaNetParts,
  GatedDeltaNet,
} from '../../layers/recurrent/gated-delta-net.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { olmo2Norms } from '../olmo2/index.js';

/** None where `rope_parameters` say that their base is null, as the released files do. */
const optionalRope: Field<RopeConfig | undefined, RotarySizes> = {
  read(json, config) {
    const parameters = json.section('rope_parameters');
    if (!parameters?.isNull('rope_theta'))
      return rotaryConfig({ theta: 10_000, keepsF32: true }).read(json, config);
    parameters.value('rope_type', only('default'));
    return undefined;
  },
};

type Heads = { readonly numAttentionHeads: number };

const ofAttention = ({ numAttentionHeads }: Heads): number => numAttentionHeads;

/** As many as key heads. */
const valueHeads: Field<number, { readonly keyHeads: number }> = {
  read(json, { keyHeads }) {
    const found = json.value('linear_num_value_heads', HEADS) ?? keyHeads;
    if (found !== keyHeads)
      json.problem(`linear_num_value_heads (${found}) must be linear_num_key_heads (${keyHeads})`);
    return found;
  },
};

/** Defaults of transformers 5.24, OlmoHybridConfig. */
const OLMO_HYBRID_CONFIG = defineConfig({
  fields: {
    ...decoder(LLAMA_DEFAULTS),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    rope: optionalRope,
    linearLayers: layersOfType('linear_attention', 'full_attention', () => (layer) => layer % 4 !== 3),
    keyHeads: field('linear_num_key_heads', HEADS, ofAttention),
    valueHeads,
    keySize: field(
      'linear_key_head_dim',
      SIZE,
      (config: { readonly hiddenSize: number; readonly keyHeads: number }) =>
        Math.trunc((0.75 * config.hiddenSize) / config.keyHeads),
    ),
    valueSize: field(
      'linear_value_head_dim',
      SIZE,
      ({ keySize }: { readonly keySize: number }) => 2 * keySize,
    ),
    convTaps: field('linear_conv_kernel_dim', integer(2, 64), 4),
    turnsSign: field('linear_allow_neg_eigval', flag, true),
    slidingWindows: fullAttention,
  },
  irrelevant: keysBecause(
    'says how training began',
    ...['linear_a_log_min', 'linear_a_log_max', 'linear_dt_min', 'linear_dt_max', 'linear_dt_init_floor'],
  ),
});
type OlmoHybridConfig = ConfigOf<typeof OLMO_HYBRID_CONFIG>;

/** Of the norm in linear attention, whatever `rms_norm_eps` says. */
const STATE_NORM_EPS = 1e-5;

/** A tensor for each projection and each convolution. */
function deltaNetParts({ keyHeads, valueHeads, keySize, valueSize }: DeltaNetConfig): DeltaNetParts {
  const [keys, values] = [keyHeads * keySize, valueHeads * valueSize];
  const part = (name: string, outFeatures: number) => ({ name, outFeatures });
  return {
    qkvz: [part('q_proj', keys), part('k_proj', keys), part('v_proj', values), part('g_proj', values)],
    gates: [part('b_proj', valueHeads), part('a_proj', valueHeads)],
    convs: [
      { name: 'q_conv1d', channels: keys },
      { name: 'k_conv1d', channels: keys },
      { name: 'v_conv1d', channels: values },
    ],
    norm: 'o_norm',
    out: 'o_proj',
  };
}

/** OLMo 2 with linear attention by the gated delta rule in most layers, whose norms come before its steps. */
export class FlashOlmoHybridForCausalLMATB extends FlashForCausalLMATB<OlmoHybridConfig> {
  readonly name = 'olmo_hybrid';
  protected readonly model: BaseModelATB;

  constructor(config: OlmoHybridConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const linear = (layerId: number, at: Weights) => {
      const sizes = { ...config, rmsNormEps: STATE_NORM_EPS, mostBeta: config.turnsSign ? 2 : 1 };
      const parts = {
        inputLayernorm: norm(at.at('attention_layer_norm')),
        selfAttn: new GatedDeltaNet(layerId, sizes, at.at('linear_attn'), deltaNetParts(config)),
        postAttentionLayernorm: norm(at.at('feedforward_layer_norm')),
        mlp: new BaseMLP(config, at.at('mlp')),
      };
      return new PreNormLayer(layerId, at, parts, 'linear');
    };
    const Attention = config.rope ? NormedRotaryAttention : NormedAttention;
    const attending = (layerId: number, at: Weights) => {
      const own = at.at('self_attn');
      // Where transformers wrote the file, this name is that of the other layers, too.
      const published = at.has('post_attention_layernorm.weight');
      return new NormedResultLayer(layerId, at, {
        selfAttn: new Attention(layerId, config, own, olmo2Norms(config, own)),
        afterAttention: norm(at.at(published ? 'post_attention_layernorm' : 'feedforward_layer_norm')),
        mlp: new BaseMLP(config, at.at('mlp')),
        afterMlp: norm(at.at('post_feedforward_layernorm')),
      });
    };
    this.model = new BaseModelATB(config, weights.at('model'), {
      layer: (layerId, at) => (config.linearLayers[layerId] ? linear : attending)(layerId, at),
      norm: norm(weights.at('model').at('norm')),
    });
  }
}

export const OlmoHybridRouter = routerOf(OLMO_HYBRID_CONFIG, FlashOlmoHybridForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['as olmo2', 'gated delta rule', 'layers without rotary'],
    reference: 'transformers',
  },
});
registerModel('olmo_hybrid', OlmoHybridRouter);
