import type { AtbGraph } from '../../graph/atb-graph.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  flag,
  mlp,
  multiHeadAttention,
  textModel,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { PredictionStep } from '../../layers/heads/prediction-step.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { MODERNBERT_FIELDS, MODERNBERT_IRRELEVANT } from '../modernbert/index.js';

/** Defaults of transformers 5.24, ModernBertDecoderConfig. */
const MODERNBERT_DECODER_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...multiHeadAttention,
    ...mlp({ hiddenAct: 'gelu' }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    ...MODERNBERT_FIELDS,
    headBias: field('decoder_bias', flag, true),
  },
  irrelevant: { ...MODERNBERT_IRRELEVANT, sep_token_id: 'is an id that the tokenizer knows' },
});
type ModernBertDecoderConfig = ConfigOf<typeof MODERNBERT_DECODER_CONFIG>;
const HEAD: HeadNames = { embedding: 'model.embeddings.tok_embeddings', head: 'decoder' };

/** Embeddings have a norm in the place of the first layer's. */
class ModernBertDecoderModelATB extends BaseModelATB {
  readonly embeddingNorm: BaseLayerNorm;

  constructor(config: ModernBertDecoderConfig, weights: Weights) {
    const { hiddenSize, layerNormEps, normBias: hasBias } = config;
    const norm = (at: Weights, name?: string) =>
      new BaseLayerNorm(at, hiddenSize, layerNormEps, { hasBias, name });
    super(config, weights, {
      layer(layerId, at) {
        const parts = {
          inputLayernorm: layerId === 0 ? new NoNorm() : norm(at.at('attn_norm')),
          selfAttn: new RotaryAttention(layerId, config, at.at('attn'), { dense: 'Wo' }),
          postAttentionLayernorm: norm(at.at('mlp_norm')),
          mlp: new BaseMLP(config, at.at('mlp'), { names: { gateUp: 'Wi', down: 'Wo' } }),
        };
        const variants = [layerId === 0 && 'first', slidingVariant(config, layerId)];
        return new PreNormLayer(layerId, at, parts, variants.filter(Boolean).join('_'));
      },
      norm: norm(weights.at('final_norm')),
      names: { embedding: 'embeddings.tok_embeddings', layers: 'layers' },
    });
    this.embeddingNorm = norm(weights.at('embeddings').at('norm'), 'embedding_norm');
  }

  override buildWordEmbeddingGraph(graph: AtbGraph): string {
    return this.embeddingNorm.buildGraph(graph, super.buildWordEmbeddingGraph(graph));
  }
}

/** ModernBERT that sees no later tokens, and whose head makes words of what its head for words makes of rows. */
export class FlashModernBertDecoderForCausalLMATB extends FlashForCausalLMATB<ModernBertDecoderConfig> {
  readonly name = 'modernbert_decoder';
  protected readonly model: ModernBertDecoderModelATB;

  constructor(config: ModernBertDecoderConfig, weights: Weights) {
    const step = new PredictionStep(config, weights.at('lm_head'));
    super(config, weights, { names: HEAD, hasBias: config.headBias, step });
    this.model = new ModernBertDecoderModelATB(config, weights.at('model'));
  }
}

export const ModernBertDecoderRouter = routerOf(
  MODERNBERT_DECODER_CONFIG,
  FlashModernBertDecoderForCausalLMATB,
  {
    headNames: HEAD,
    about: {
      kind: 'variant',
      features: ['as modernbert', 'windows by layer', 'an MLP of its own before the head'],
      reference: 'transformers',
    },
  },
);
registerModel('modernbert-decoder', ModernBertDecoderRouter);
