import { projectionNorms } from '../../layers/attention/attention-orders.js';
import { GatedRotaryAttention } from '../../layers/attention/gated-attention.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import type { BaseLayer } from '../../layers/decoder/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { HeadNorm, OffsetRMSNorm } from '../../layers/norms/norms.js';
import {
  type DeltaNetConfig,
  type DeltaNetParts,
  GatedDeltaNet,
} from '../../layers/recurrent/gated-delta-net.js';
import { rowsInGroups } from '../../weights/row-orders.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';

/** Attention with norms of queries and keys; each head of q_proj has its gate behind its query. */
export class Qwen3NextAttention extends GatedRotaryAttention {
  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(layerId: number, config: DecoderConfig, weights: Weights) {
    const { numAttentionHeads, headDim, rmsNormEps, qkvBias: hasBias } = config;
    const [qRows, rows] = rowsInGroups(numAttentionHeads, [headDim, headDim]);
    const norms = projectionNorms(config, (of, heads) => {
      return new HeadNorm(weights.at(`${of}_norm`), { ...config, heads }, rmsNormEps, OffsetRMSNorm);
    });
    const qkv = { q: 'q_proj', k: 'k_proj', v: 'v_proj', ...(qRows && { qRows }) };
    super(layerId, config, weights, norms, { name: 'q_proj', rows, hasBias }, { qkv });
  }
}

/** What the layers of these families are told. */
export interface HybridConfig extends DecoderConfig, DeltaNetConfig {
  /** For each layer, whether it has linear attention. */
  readonly linearLayers: readonly boolean[];
  /** For each layer, whether its MLP is experts; none are when absent. */
  readonly sparseLayers?: readonly boolean[];
}

/** How families of this kind differ. */
export interface DeltaHybridParts {
  readonly deltaNet: DeltaNetParts;
  /** The MLP of a layer. `weights` is its cursor. */
  mlp(layerId: number, weights: Weights): LayerStep;
}

/** Layers of linear attention and, in between, of attention, all of whose norms multiply by 1 + weight. */
export function hybridLayers(config: HybridConfig, { deltaNet, mlp }: DeltaHybridParts) {
  const norm = (at: Weights) => new OffsetRMSNorm(at, config.hiddenSize, config.rmsNormEps);
  const layer = (layerId: number, at: Weights): BaseLayer => {
    const isLinear = config.linearLayers[layerId];
    const parts = {
      inputLayernorm: norm(at.at('input_layernorm')),
      selfAttn: isLinear
        ? new GatedDeltaNet(layerId, config, at.at('linear_attn'), deltaNet)
        : new Qwen3NextAttention(layerId, config, at.at('self_attn')),
      postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
      mlp: mlp(layerId, at.at('mlp')),
    };
    const variant = [isLinear ? 'linear' : '', config.sparseLayers?.[layerId] ? 'sparse' : ''];
    return new PreNormLayer(layerId, at, parts, variant.filter((part) => part !== '').join('_'));
  };
  return { layer, norm };
}

/** A model of such layers. `weights` is its cursor. */
export function hybridModel(config: HybridConfig, weights: Weights, parts: DeltaHybridParts): BaseModelATB {
  const { layer, norm } = hybridLayers(config, parts);
  return new BaseModelATB(config, weights, { layer, norm: norm(weights.at('norm')) });
}
