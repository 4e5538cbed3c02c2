import {
  PositionFreeAttention,
  projectionNorms,
  RotaryNormedAttention,
  ScaledPositionFreeAttention,
} from '../../layers/attention/attention-orders.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { HeadNorm, UnscaledRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';
import { LLAMA4_TEXT_CONFIG, type Llama4TextConfig } from './config.js';
import { llama4Experts } from './experts.js';

/** Layers that rotate norm heads behind it; those that do not know no positions, but by the size of their queries. */
function attentionOf(layerId: number, config: Llama4TextConfig, weights: Weights): LayerStep {
  if (!config.rotaryLayers[layerId]) {
    const Attention = config.queryScale ? ScaledPositionFreeAttention : PositionFreeAttention;
    return new Attention(layerId, config, weights);
  }
  const { headDim, rmsNormEps, normsHeads } = config;
  const norms = projectionNorms(
    config,
    (of, heads) => new HeadNorm(weights.at(`${of}_norm`), { heads, headDim }, rmsNormEps, UnscaledRMSNorm),
  );
  return new RotaryNormedAttention(layerId, config, weights, normsHeads ? norms : undefined);
}

/**
 * The text of Llama 4: layers that rotate see their own chunk of positions; the others see all, with queries that grow
 * (arXiv:2501.19399).
 */
export class FlashLlama4TextForCausalLMATB extends FlashLlamaForCausalLMATB<Llama4TextConfig> {
  override readonly name = 'llama4_text';

  constructor(config: Llama4TextConfig, weights: Weights) {
    super(config, weights, (layerId, at) => {
      const [own, { denseIntermediateSize: intermediateSize }] = [at.at('feed_forward'), config];
      const [isSparse, rotates] = [config.sparseLayers[layerId], config.rotaryLayers[layerId]];
      const isChunked = config.attentionChunks[layerId] !== undefined;
      const kinds = { position_free: !rotates, chunked: isChunked, dense: !isSparse };
      return new LlamaLayer(layerId, config, at, {
        selfAttn: attentionOf(layerId, config, at.at('self_attn')),
        mlp: isSparse ? llama4Experts(config, own) : new BaseMLP({ ...config, intermediateSize }, own),
        variant: Object.entries(kinds)
          .flatMap(([kind, is]) => (is ? [kind] : []))
          .join('_'),
      });
    });
  }
}

export const Llama4TextRouter = routerOf(LLAMA4_TEXT_CONFIG, FlashLlama4TextForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      'chunks of positions',
      'layers without rotary',
      'queries that grow with positions',
      'interleaved rotary',
      'norms of q and k after rotary',
      'experts of weighted inputs',
      'a shared expert',
      'MLPs beside experts',
    ],
    reference: 'transformers',
  },
});
registerModel('llama4_text', Llama4TextRouter);
