import { DifferentialAttention } from '../../layers/attention/differential-attention.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  fullAttention,
  keyValueHeads,
  LLAMA_DEFAULTS,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Heads of keys and values, which stand in two groups. */
const pairedHeads: Field<number, { readonly numAttentionHeads: number }> = {
  read(json, config) {
    const heads = keyValueHeads('num_attention_heads').read(json, config);
    if (heads % 2 !== 0) json.problem(`num_key_value_heads must be even, found ${heads}`);
    return heads;
  },
};

/** Defaults of transformers 5.24, DiffLlamaConfig. */
const DIFFLLAMA_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5 }),
    numKeyValueHeads: pairedHeads,
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: fullAttention,
  },
  irrelevant: { lambda_std_dev: 'says how training began' },
});
type DiffLlamaConfig = ConfigOf<typeof DIFFLLAMA_CONFIG>;

/** Llama with differential attention (arXiv:2410.05258). */
export class FlashDiffLlamaForCausalLMATB extends FlashForCausalLMATB<DiffLlamaConfig> {
  readonly name = 'diffllama';
  protected readonly model: BaseModelATB;

  constructor(config: DiffLlamaConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new DifferentialAttention(layerId, config, at.at('self_attn')),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new BaseMLP(config, at.at('mlp')),
        }),
      norm: norm(inner.at('norm')),
    });
  }
}

export const DiffLlamaRouter = routerOf(DIFFLLAMA_CONFIG, FlashDiffLlamaForCausalLMATB, {
  about: { kind: 'llama', features: ['differential attention'], reference: 'transformers' },
});
registerModel('diffllama', DiffLlamaRouter);
