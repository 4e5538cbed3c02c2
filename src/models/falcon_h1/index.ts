import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  listOf,
  mamba2,
  only,
  positive,
} from '../../layers/config/index.js';
import { PreNormLayer, SumOfSteps } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { Mamba2Mixer } from '../../layers/recurrent/mamba2.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

const FACTOR = positive(1e6);

const factor = (name: string) => field(name, FACTOR, 1);

const factors = (name: string, count: number): Field<readonly number[]> => ({
  read(json) {
    const found = json.value(name, listOf(FACTOR, 'numbers greater than 0'));
    if (found !== undefined && found.length !== count) json.problem(`${name} must have ${count} numbers`);
    return found ?? Array<number>(count).fill(1);
  },
});

/** Projections whose input is multiplied have no biases, which would not be. */
const noBias = (name: string) => field(name, only(false), false);

/** Defaults of transformers 5.24, FalconH1Config. */
const FALCON_H1_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, rmsNormEps: 1e-5 }),
    ...biases({ qkv: noBias('attention_bias'), dense: false, mlp: 'mlp_bias' }),
    ...mamba2({ heads: 128, stateSize: 256, width: 1024 }),
    mambaBias: noBias('mamba_proj_bias'),
    mambaOutBias: field('projectors_bias', flag, false),
    hasMambaNorm: field('mamba_rms_norm', flag, false),
    normsBeforeGate: field('mamba_norm_before_gate', flag, true),
    embeddingMultiplier: factor('embedding_multiplier'),
    lmHeadMultiplier: factor('lm_head_multiplier'),
    attentionInMultiplier: factor('attention_in_multiplier'),
    attentionOutMultiplier: factor('attention_out_multiplier'),
    keyMultiplier: factor('key_multiplier'),
    ssmInMultiplier: factor('ssm_in_multiplier'),
    ssmOutMultiplier: factor('ssm_out_multiplier'),
    ssmMultipliers: factors('ssm_multipliers', 5),
    mlpMultipliers: factors('mlp_multipliers', 2),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    mamba_chunk_size: 'says how kernels of GPUs cut prompts',
    num_logits_to_keep: 'says what a call returns',
    ...keysBecause('is not read by FalconH1Config', 'attn_layer_indices', 'mamba_use_mlp'),
  },
});
type FalconH1Config = ConfigOf<typeof FALCON_H1_CONFIG>;

/** Scores are products of what is multiplied, and values come out of attention multiplied: so only `o_proj` changes. */
function attentionOf(layerId: number, config: FalconH1Config, at: Weights): RotaryAttention {
  const { attentionInMultiplier: into, attentionOutMultiplier: outOf, keyMultiplier, headDim } = config;
  const scale = (into * into * keyMultiplier) / Math.sqrt(headDim);
  return new RotaryAttention(layerId, config, at, { scale, outputScale: into * outOf });
}

function mixerOf(layerId: number, config: FalconH1Config, at: Weights): Mamba2Mixer {
  const [z = 1, x = 1, b = 1, c = 1, step = 1] = config.ssmMultipliers.map(
    (multiplier) => multiplier * config.ssmInMultiplier,
  );
  const norm = config.normsBeforeGate ? 'ungated' : 'gated';
  return new Mamba2Mixer(layerId, config, at, {
    outputScale: config.ssmOutMultiplier,
    inputScales: { z, x, b, c, step },
    norm: config.hasMambaNorm ? norm : 'none',
  });
}

/** Falcon-H1 (arXiv:2507.22448): attention and a mixer of Mamba-2 side by side, and a multiplier for whatever there is. */
export class FlashFalconH1ForCausalLMATB extends FlashForCausalLMATB<FalconH1Config> {
  readonly name = 'falcon_h1';
  protected readonly model: BaseModelATB;

  constructor(config: FalconH1Config, weights: Weights) {
    super(config, weights, { scale: config.lmHeadMultiplier });
    const [gateScale = 1, outputScale = 1] = config.mlpMultipliers;
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new SumOfSteps(
            mixerOf(layerId, config, at.at('mamba')),
            attentionOf(layerId, config, at.at('self_attn')),
          ),
          postAttentionLayernorm: norm(at.at('pre_ff_layernorm')),
          mlp: new BaseMLP(config, at.at('feed_forward'), { gateScale, outputScale }),
        }),
      norm: norm(inner.at('final_layernorm')),
      embeddingScale: config.embeddingMultiplier,
    });
  }
}

export const FalconH1Router = routerOf(FALCON_H1_CONFIG, FlashFalconH1ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['attention and mixers of Mamba-2 side by side', 'multipliers'],
    reference: 'transformers',
  },
});
registerModel('falcon_h1', FalconH1Router);
