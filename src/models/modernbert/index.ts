import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  headRows,
  lengths,
  rotary,
  slidingMasks,
  slidingRotaryTables,
  tokenIds,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';
import { MODERNBERT_CONFIG, type ModernBertConfig } from './config-modernbert.js';
import { classifierOf } from './prediction-head.js';

export {
  MODERNBERT_ENCODER_FIELDS,
  MODERNBERT_ENCODER_IRRELEVANT,
  MODERNBERT_FIELDS,
  MODERNBERT_IRRELEVANT,
  type ModernBertConfig,
} from './config-modernbert.js';

/** Norms before each step but the first, gated MLPs, windows on both sides in most layers (arXiv:2412.13663, section 2.1). */
export class FlashModernbertModelATB extends TextEncoderATB<ModernBertConfig> {
  /** `name`: of its graph, where it is a part of another model. */
  constructor(config: ModernBertConfig, weights: Weights, name = 'modernbert') {
    const { hiddenSize, layerNormEps, normBias: hasBias, rope, slidingRope, slidingWindows } = config;
    const inner = weights.at('model');
    const norm = (at: Weights, normName?: string) =>
      new BaseLayerNorm(at, hiddenSize, layerNormEps, { hasBias, name: normName });
    super({
      name,
      config,
      stepInputs: [
        tokenIds,
        rotary(rope, [slidingRotaryTables(slidingRope)]),
        lengths,
        ...slidingMasks(slidingWindows, true),
        headRows,
      ],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.tok_embeddings', layers: 'layers' },
        added: [],
        norm: norm(inner.at('embeddings').at('norm'), 'embedding_norm'),
        layer(layerId, at) {
          const parts = {
            inputLayernorm: layerId === 0 ? new NoNorm() : norm(at.at('attn_norm')),
            selfAttn: new RotaryAttention(layerId, config, at.at('attn'), {
              qkv: { packed: 'Wqkv', order: 'blocks' },
              dense: 'Wo',
            }),
            postAttentionLayernorm: norm(at.at('mlp_norm')),
            mlp: new BaseMLP(config, at.at('mlp'), { names: { gateUp: 'Wi', down: 'Wo' } }),
          };
          const variant = layerId === 0 ? 'first' : slidingVariant(config, layerId);
          return new PreNormLayer(layerId, at, parts, variant);
        },
        lastNorm: norm(inner.at('final_norm')),
      }),
      head: classifierOf(weights, config),
    });
  }
}

export const ModernbertRouter = routerOf(MODERNBERT_CONFIG, FlashModernbertModelATB, {
  // Heads that predict words.
  harmlessTensors: [/^(head|decoder)\./],
  about: {
    kind: 'encoder',
    features: ['windows on both sides by layer', 'two rotary embeddings', 'gated MLPs'],
    reference: 'transformers',
  },
});
registerModel('modernbert', ModernbertRouter);
