import type { AttentionConfig } from '../../layers/attention-config.js';
import {
  type BaseConfig,
  biases,
  field,
  groupedQueryAttention,
  LLAMA_DEFAULTS,
  mlp,
  positive,
  textModel,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { type LayerStep, ParallelLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP, type MLPConfig } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm, type NormStep } from '../../layers/norms/norms.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** What all models of the Command series have. */
export type CommandConfig = BaseConfig &
  AttentionConfig &
  MLPConfig & { readonly layerNormEps: number; readonly logitScale: number };

/** What the configurations of the Command series share, with the defaults of transformers 5.24. */
export const COMMAND_FIELDS = {
  ...textModel({ tieWordEmbeddings: true }),
  ...groupedQueryAttention(LLAMA_DEFAULTS),
  ...mlp({ hiddenAct: 'silu' }),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
  logitScale: field('logit_scale', positive(1e6), 0.0625),
};

/** What a model of the series has of its own: steps of a layer, whose window `weights` is, and norms. */
export interface CommandParts {
  attention(layerId: number, weights: Weights): LayerStep;
  /** A gated MLP when absent. */
  mlp?(layerId: number, weights: Weights): LayerStep;
  /** LayerNorm without a bias when absent. */
  norm?(weights: Weights): NormStep;
  /** Tells layers of another structure apart, beside those with a window. */
  variant?(layerId: number): string;
}

/** Parallel layers, neighbouring elements of heads that turn together, scaled logits. */
export abstract class FlashParallelCohereATB<C extends CommandConfig> extends FlashForCausalLMATB<C> {
  protected readonly model: BaseModelATB;

  constructor(config: C, weights: Weights, parts: CommandParts) {
    super(config, weights, { scale: config.logitScale });
    const {
      norm = (at) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps, { hasBias: false }),
      mlp = (_, at) => new BaseMLP(config, at),
      variant = () => '',
    } = parts;
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer(layerId, at) {
        const steps = {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: parts.attention(layerId, at.at('self_attn')),
          mlp: mlp(layerId, at.at('mlp')),
        };
        const variants = [variant(layerId), slidingVariant(config, layerId)];
        return new ParallelLayer(layerId, at, steps, variants.filter((part) => part !== '').join('_'));
      },
      norm: norm(inner.at('norm')),
    });
  }
}
