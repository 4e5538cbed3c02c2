import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import type { QkvNames } from '../../layers/linear/projections.js';
import { BaseMLP, type GatedMLPNames } from '../../layers/mlp/mlp.js';
import { type BaseNorm, BaseRMSNorm } from '../../layers/norms/norms.js';
import type { HeadNames } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** What a checkpoint calls the tensors of a Llama: full names, and in `layer` those within a layer. */
export interface LlamaNames extends HeadNames {
  readonly layers: string;
  readonly norm: string;
  readonly layer: {
    readonly inputNorm: string;
    readonly attention: string;
    readonly qkv: QkvNames;
    readonly dense: string;
    readonly postAttentionNorm: string;
    readonly mlp: string;
    readonly projections: GatedMLPNames;
  };
}

/** A Llama whose checkpoints have other names, and perhaps packed projections or norms of another kind. */
export abstract class FlashRenamedLlamaATB<
  C extends DecoderConfig = DecoderConfig,
> extends FlashForCausalLMATB<C> {
  protected readonly model: BaseModelATB;

  constructor(
    config: C,
    weights: Weights,
    names: LlamaNames,
    norm: (weights: Weights) => BaseNorm = (at) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps),
  ) {
    super(config, weights, { names });
    const { attention, qkv, dense, mlp, projections, inputNorm, postAttentionNorm } = names.layer;
    this.model = new BaseModelATB(config, weights, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at(inputNorm)),
          selfAttn: new RotaryAttention(layerId, config, at.at(attention), { qkv, dense }),
          postAttentionLayernorm: norm(at.at(postAttentionNorm)),
          mlp: new BaseMLP(config, at.at(mlp), { names: projections }),
        }),
      norm: norm(weights.at(names.norm)),
      names,
    });
  }
}
