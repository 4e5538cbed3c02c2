import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  field,
  fullAttention,
  positive,
} from '../../layers/config/index.js';
import { BaseMLP } from '../../layers/mlp.js';
import { addScaled } from '../../layers/residual.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LlamaAttention, LlamaLayer, LlamaModelATB } from '../llama/index.js';

const FACTOR = positive(1e6);

/** Defaults of transformers 5.24, GraniteConfig. */
const GRANITE_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
    embeddingMultiplier: field('embedding_multiplier', FACTOR, 1),
    attentionMultiplier: field('attention_multiplier', FACTOR, 1),
    residualMultiplier: field('residual_multiplier', FACTOR, 1),
    logitsScaling: field('logits_scaling', FACTOR, 1),
  },
});
type GraniteConfig = ConfigOf<typeof GRANITE_CONFIG>;

/** Llama's layers, of which attention and MLP are scaled before they are added. */
export class GraniteModelATB extends LlamaModelATB {
  constructor(
    private readonly config: GraniteConfig,
    weights: Weights,
  ) {
    super(config, weights, (layerId, at) => {
      const { attentionMultiplier: scale, residualMultiplier: outputScale } = config;
      const selfAttn = new LlamaAttention(layerId, config, at.at('self_attn'), { scale, outputScale });
      const mlp = new BaseMLP(config, at.at('mlp'), { outputScale });
      return new LlamaLayer(layerId, config, at, { selfAttn, mlp });
    });
  }

  override buildWordEmbeddingGraph(graph: AtbGraph): string {
    const embedded = super.buildWordEmbeddingGraph(graph);
    return addScaled(graph, embedded, this.config.embeddingMultiplier, 'scaled_embedding');
  }
}

/** Llama with scales for embeddings, scores, residuals and logits. */
export class FlashGraniteForCausalLMATB extends FlashForCausalLMATB<GraniteConfig> {
  readonly name: string = 'granite';
  protected readonly model: GraniteModelATB;

  constructor(config: GraniteConfig, weights: Weights) {
    super(config, weights);
    this.model = new GraniteModelATB(config, weights.at('model'));
  }

  protected override buildHeadGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const logits = super.buildHeadGraph(graph, kind, hidden);
    return addScaled(graph, logits, 1 / this.config.logitsScaling, 'scaled_logits');
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
