import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  fullAttention,
  integer,
  keysBecause,
  LLAMA_DEFAULTS,
  listOf,
  mamba2,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { Mamba2Mixer } from '../../layers/recurrent/mamba2.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Layers with attention. */
const attendingLayers: Field<readonly number[]> = {
  read: (json) => json.value('attn_layer_indices', listOf(integer(0, 1000), 'numbers of layers')) ?? [],
};

/** Defaults of transformers 5.24, BambaConfig. */
const BAMBA_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, rmsNormEps: 1e-5, rotary: { factor: 0.5 } }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    ...mamba2({ heads: 128, stateSize: 256 }),
    attendingLayers,
    slidingWindows: fullAttention,
  },
  irrelevant: {
    mamba_chunk_size: 'says how kernels of GPUs cut prompts',
    num_logits_to_keep: 'says what a call returns',
    z_loss_coefficient: 'is used in training alone',
    ...keysBecause('is not read by BambaConfig', 'attn_rotary_emb', 'layers_block_type', 'use_mamba_kernels'),
  },
});
type BambaConfig = ConfigOf<typeof BAMBA_CONFIG>;

/** Bamba: Llama with mixers of Mamba-2 in place of attention in most layers; half of each head turns in the others. */
export class FlashBambaForCausalLMATB extends FlashForCausalLMATB<BambaConfig> {
  readonly name = 'bamba';
  protected readonly model: BaseModelATB;

  constructor(config: BambaConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) => {
        const attends = config.attendingLayers.includes(layerId);
        const parts = {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: attends
            ? new RotaryAttention(layerId, config, at.at('self_attn'))
            : new Mamba2Mixer(layerId, config, at.at('mamba')),
          postAttentionLayernorm: norm(at.at('pre_ff_layernorm')),
          mlp: new BaseMLP(config, at.at('feed_forward')),
        };
        return new PreNormLayer(layerId, at, parts, attends ? '' : 'mamba');
      },
      norm: norm(inner.at('final_layernorm')),
    });
  }
}

export const BambaRouter = routerOf(BAMBA_CONFIG, FlashBambaForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['mixers of Mamba-2', 'partial rotary'],
    reference: 'transformers',
  },
});
registerModel('bamba', BambaRouter);
