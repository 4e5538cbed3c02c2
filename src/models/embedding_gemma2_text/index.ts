import { rounded } from '../../dtype.js';
import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { ValueNormedAttention } from '../../layers/attention/value-normed-attention.js';
import {
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  field,
  groupedQueryAttention,
  mlp,
  ofFullLayers,
  only,
  positive,
  rotaryByHeadSize,
  SIZE,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { NormedProjection } from '../../layers/norms/normed-projection.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { PerLayerStep, ProjectedPerLayerInputs } from '../../layers/streams/per-layer-inputs.js';
import { PerLayerSandwich } from '../../layers/streams/per-layer-sandwich.js';
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
import { BaseModelATB } from '../base/base-model-atb.js';
import { TextEncoderATB } from '../base/text-encoder-atb.js';
import { gemma4Windows } from '../gemma4_text/index.js';

/** Defaults of transformers 5.24, EmbeddingGemma2TextConfig. */
export const EMBEDDING_GEMMA2_FIELDS = {
  ...textModel({ tieWordEmbeddings: true }),
  ...groupedQueryAttention({ numKeyValueHeads: 2, headDim: 256 }),
  ...mlp({ hiddenAct: 'gelu_tanh' }),
  hiddenAct: constant('gelu_tanh' as const),
  activation: field('hidden_activation', only('gelu_pytorch_tanh'), 'gelu_pytorch_tanh'),
  ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
  rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
  globalHeadDim: ofFullLayers('head_dim', 'global_head_dim', 512),
  globalKeyValueHeads: ofFullLayers('num_key_value_heads', 'num_global_key_value_heads', 1),
  ...rotaryByHeadSize({ full_attention: 1_000_000, sliding_attention: 10_000 }),
  /** A token sees as many on each side. */
  slidingWindows: gemma4Windows(512),
  isCausal: constant(false),
  perLayerSize: field('hidden_size_per_layer_input', SIZE, 512),
  encodedSize: field('embedding_dim', WIDTH, 768),
};
export const EMBEDDING_GEMMA2_IRRELEVANT = { hidden_act: 'EmbeddingGemma2MLP reads hidden_activation' };

const EMBEDDING_GEMMA2_TEXT_CONFIG = defineConfig({
  fields: EMBEDDING_GEMMA2_FIELDS,
  irrelevant: EMBEDDING_GEMMA2_IRRELEVANT,
});
export type EmbeddingGemma2Config = ConfigOf<typeof EMBEDDING_GEMMA2_TEXT_CONFIG>;

/** Gemma 4's layers whose tokens all see each other, and vectors for layers that come of embeddings alone. */
class EmbeddingGemma2Body extends BaseModelATB {
  readonly perLayer: ProjectedPerLayerInputs;

  constructor(config: EmbeddingGemma2Config, weights: Weights) {
    const { hiddenSize, encodedSize, rmsNormEps, globalHeadDim, globalKeyValueHeads } = config;
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, rmsNormEps);
    const whole = { ...config, headDim: globalHeadDim, numKeyValueHeads: globalKeyValueHeads };
    super(config, weights, {
      layer(layerId, at) {
        const sizes = config.slidingWindows[layerId] === undefined ? whole : config;
        const parts = {
          selfAttn: new ValueNormedAttention(layerId, sizes, at.at('self_attn')),
          ...{ owner: undefined, isLending: false },
          beforeAttention: norm(at.at('input_layernorm')),
          afterAttention: norm(at.at('post_attention_layernorm')),
          beforeMlp: norm(at.at('pre_feedforward_layernorm')),
          mlp: new BaseMLP(config, at.at('mlp')),
          afterMlp: norm(at.at('post_feedforward_layernorm')),
          perLayer: new PerLayerStep(config, at.at('ple_block')),
        };
        return new PerLayerSandwich(layerId, at, parts, slidingVariant(config, layerId));
      },
      norm: new NormedProjection(norm(weights.at('norm')), weights, 'embedding_projection', {
        embeddingSize: hiddenSize,
        hiddenSize: encodedSize,
        hasBias: false,
      }),
      embeddingScale: rounded(Math.sqrt(hiddenSize), weights.dtype ?? 'bf16'),
    });
    this.perLayer = new ProjectedPerLayerInputs(config, weights.at('ple'));
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    const hidden = super.buildInputGraph(graph, kind);
    this.perLayer.buildGraph(graph, hidden);
    return hidden;
  }
}

/** EmbeddingGemma 2: what it gives of a token is narrower or wider than its hidden states. */
export class FlashEmbeddingGemma2ModelATB extends TextEncoderATB<EmbeddingGemma2Config> {
  /** `inner` is the cursor of the text. */
  constructor(config: EmbeddingGemma2Config, inner: Weights, name = 'embedding_gemma2_text') {
    const { rope, slidingRope, slidingWindows } = config;
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
      body: new EmbeddingGemma2Body(config, inner),
    });
  }
}

export const EmbeddingGemma2TextRouter = routerOf(
  EMBEDDING_GEMMA2_TEXT_CONFIG,
  FlashEmbeddingGemma2ModelATB,
  {
    about: {
      kind: 'encoder',
      features: ['as gemma4_text', 'windows on both sides by layer', 'results of another width'],
      reference: 'transformers',
    },
  },
);
registerModel('embedding_gemma2_text', EmbeddingGemma2TextRouter);
