import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import type { AttentionConfig } from '../../layers/attention-config.js';
import type { BaseConfig } from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import type { QkvNames } from '../../layers/linear/projections.js';
import { type MLPConfig, UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import type { HeadNames } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LearnedPositionModelATB } from '../base/learned-position-model-atb.js';

/** What GPT-2 and its relatives are told by their configuration. */
export type Gpt2LikeConfig = BaseConfig &
  AttentionConfig &
  MLPConfig & { readonly layerNormEps: number; readonly learnedPositions: number };

export const GPT2_HEAD: HeadNames = { embedding: 'transformer.wte', head: 'lm_head' };

/** What older files hold beside the weights. */
export const CAUSAL_MASKS: readonly RegExp[] = [/(^|\.)h\.\d+\.attn\.(masked_)?bias$/];

/** How a relative of GPT-2 differs in its layers. */
export interface Gpt2LayerOptions {
  /** The checkpoint's name of its attention; `attn` when absent. */
  readonly attention?: string;
  readonly qkv: QkvNames;
  /** The checkpoint's name of the output projection; `c_proj` when absent. */
  readonly dense?: string;
  /** Whether the checkpoint's weights are [in, out]; false when absent. */
  readonly transposed?: boolean;
  readonly scale: number;
  /** Tells layers apart that differ. */
  readonly variant?: string;
}

/** A causal model with learned positions and LayerNorm before attention and MLP (GPT-2, section 2.3). */
export abstract class FlashGpt2LikeATB<C extends Gpt2LikeConfig> extends FlashForCausalLMATB<C> {
  protected readonly model: LearnedPositionModelATB;

  constructor(config: C, weights: Weights, optionsOf: (layerId: number) => Gpt2LayerOptions) {
    super(config, weights, { names: GPT2_HEAD });
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps);
    const inner = weights.at('transformer');
    this.model = new LearnedPositionModelATB(config, inner, {
      layer(layerId, at) {
        const { attention = 'attn', variant, ...own } = optionsOf(layerId);
        const { transposed = false } = own;
        const parts = {
          inputLayernorm: norm(at.at('ln_1')),
          selfAttn: new PositionFreeAttention(layerId, config, at.at(attention), { dense: 'c_proj', ...own }),
          postAttentionLayernorm: norm(at.at('ln_2')),
          mlp: new UngatedMLP(config, at.at('mlp'), { names: { up: 'c_fc', down: 'c_proj' }, transposed }),
        };
        return new PreNormLayer(layerId, at, parts, variant);
      },
      norm: norm(inner.at('ln_f')),
      names: { embedding: 'wte', layers: 'h' },
      positions: { name: 'wpe' },
    });
  }
}
