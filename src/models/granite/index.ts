import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { AttentionOptions } from '../../layers/attention/base-attention.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  field,
  fullAttention,
  LLAMA_DEFAULTS,
  positive,
} from '../../layers/config/index.js';
import { addScaled } from '../../layers/formulas/residual.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LlamaAttention, LlamaLayer, LlamaModelATB, type MakeLayer } from '../llama/index.js';

const FACTOR = positive(1e6);

/** What Granite and its relatives have. Defaults of transformers 5.24, GraniteConfig and GraniteMoeConfig. */
export const GRANITE_FIELDS = {
  ...decoder(LLAMA_DEFAULTS),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
  slidingWindows: fullAttention,
  embeddingMultiplier: field('embedding_multiplier', FACTOR, 1),
  attentionMultiplier: field('attention_multiplier', FACTOR, 1),
  residualMultiplier: field('residual_multiplier', FACTOR, 1),
  logitsScaling: field('logits_scaling', FACTOR, 1),
};

const GRANITE_CONFIG = defineConfig({ fields: GRANITE_FIELDS });
export type GraniteConfig = ConfigOf<typeof GRANITE_CONFIG>;

/** Llama whose embeddings are scaled, also those that no word has. */
export class GraniteModelATB extends LlamaModelATB {
  constructor(
    config: GraniteConfig,
    weights: Weights,
    layer: MakeLayer,
    private readonly multiplier: number,
  ) {
    super(config, weights, layer);
  }

  override buildInputGraph(
    graph: AtbGraph,
    kind: GraphKind,
    embeddings: string = this.buildWordEmbeddingGraph(graph),
  ): string {
    const scaled = addScaled(graph, embeddings, this.multiplier, 'scaled_hidden_states');
    return super.buildInputGraph(graph, kind, scaled);
  }
}

/** Llama with scales for embeddings, scores, residuals and logits. */
export class FlashGraniteForCausalLMATB extends FlashForCausalLMATB<GraniteConfig> {
  readonly name: string = 'granite';
  protected readonly model: LlamaModelATB;

  constructor(config: GraniteConfig, weights: Weights) {
    super(config, weights, { scale: 1 / config.logitsScaling });
    const { attentionMultiplier: scale, residualMultiplier: outputScale } = config;
    const layer: MakeLayer = (layerId, at) => {
      const selfAttn = this.attention(layerId, at.at('self_attn'), { scale, outputScale });
      const mlp = new BaseMLP(config, at.at('mlp'), { outputScale });
      return new LlamaLayer(layerId, config, at, { selfAttn, mlp });
    };
    this.model = this.scaledModel(weights.at('model'), layer);
  }

  /** The layers behind scaled embeddings; `weights` is the model's cursor. */
  protected scaledModel(weights: Weights, layer: MakeLayer): LlamaModelATB {
    return new GraniteModelATB(this.config, weights, layer, this.config.embeddingMultiplier);
  }

  /** A layer's attention; `weights` is its window. */
  protected attention(layerId: number, weights: Weights, options: AttentionOptions): LlamaAttention {
    return new LlamaAttention(layerId, this.config, weights, options);
  }
}

export const GraniteRouter = routerOf(GRANITE_CONFIG, FlashGraniteForCausalLMATB, {
  about: {
    kind: 'llama',
    features: ['scaled embeddings, scores, residuals and logits'],
    reference: 'transformers',
  },
});
registerModel('granite', GraniteRouter);
