import { type ConfigOf, defineConfig, field, flag, positive } from '../../layers/config/index.js';
import { SandwichLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm, NoNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { times } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GRANITE_FIELDS, GraniteModelATB } from '../granite/index.js';
import { LlamaAttention, type LlamaModelATB } from '../llama/index.js';

/** Defaults of transformers 5.24, HyperCLOVAXConfig. */
const HYPERCLOVAX_CONFIG = defineConfig({
  fields: {
    ...GRANITE_FIELDS,
    attentionMultiplier: field(
      'attention_multiplier',
      positive(1e6),
      ({ headDim }: { readonly headDim: number }) => 1 / Math.sqrt(headDim),
    ),
    normsResults: field('use_post_norm', flag, true),
  },
  irrelevant: { end_token_id: 'eos_token_id says what ends texts' },
});
type HyperClovaXConfig = ConfigOf<typeof HYPERCLOVAX_CONFIG>;

/** A norm whose result is multiplied by a scale. */
class ScaledRMSNorm extends BaseRMSNorm {
  override readonly weight: TensorRef;

  constructor(weights: Weights, size: number, epsilon: number, scale: number) {
    super(weights, size, epsilon);
    this.weight = times(weights.get('weight', [size]), scale);
  }
}

/** Granite whose logits are multiplied, and whose results of attention and MLP are normed before they are scaled. */
export class FlashHyperClovaXForCausalLMATB extends FlashForCausalLMATB<HyperClovaXConfig> {
  readonly name = 'hyperclovax';
  protected readonly model: LlamaModelATB;

  constructor(config: HyperClovaXConfig, weights: Weights) {
    super(config, weights, { scale: config.logitsScaling });
    const { hiddenSize, rmsNormEps, normsResults, attentionMultiplier: scale, residualMultiplier } = config;
    const before = (at: Weights) => new BaseRMSNorm(at, hiddenSize, rmsNormEps);
    const after = (at: Weights) =>
      normsResults ? new ScaledRMSNorm(at, hiddenSize, rmsNormEps, residualMultiplier) : new NoNorm();
    const outputScale = normsResults ? 1 : residualMultiplier;
    this.model = new GraniteModelATB(
      config,
      weights.at('model'),
      (layerId, at) =>
        new SandwichLayer(layerId, at, {
          beforeAttention: before(at.at('input_layernorm')),
          selfAttn: new LlamaAttention(layerId, config, at.at('self_attn'), { scale, outputScale }),
          afterAttention: after(at.at('post_norm1')),
          beforeMlp: before(at.at('post_attention_layernorm')),
          mlp: new BaseMLP(config, at.at('mlp'), { outputScale }),
          afterMlp: after(at.at('post_norm2')),
        }),
      config.embeddingMultiplier,
    );
  }
}

export const HyperClovaXRouter = routerOf(HYPERCLOVAX_CONFIG, FlashHyperClovaXForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['sandwich norms', 'scaled embeddings, scores, residuals and logits'],
    reference: 'transformers',
  },
});
registerModel('hyperclovax', HyperClovaXRouter);
