import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  activation,
  biases,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  fullAttention,
  integer,
  multiHeadAttention,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** The width of the MLPs in hidden states. */
const timesHidden: Field<number, { readonly hiddenSize: number }> = {
  read: (json, { hiddenSize }) =>
    (json.value('intermediate_multiple_size', integer(1, 1000)) ?? 4) * hiddenSize,
};

/** Defaults of transformers 5.24, GPTNeoXJapaneseConfig. */
const GPT_NEOX_JAPANESE_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...multiHeadAttention,
    intermediateSize: timesHidden,
    hiddenAct: activation('hidden_act', 'gelu'),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    ...biases({ qkv: false, dense: false, mlp: false }),
    rope: rotaryConfig({
      theta: 10_000,
      thetaNames: ['rotary_emb_base', 'rope_theta'],
      factor: 1,
      factorNames: ['rotary_pct', 'partial_rotary_factor'],
    }),
    slidingWindows: fullAttention,
  },
});
const HEAD: HeadNames = { embedding: 'gpt_neox_japanese.embed_in', head: 'embed_out' };
type GptNeoXJapaneseConfig = ConfigOf<typeof GPT_NEOX_JAPANESE_CONFIG>;

/** The projections of attention by their names in the checkpoint. */
const PROJECTIONS = { qkv: { packed: 'query_key_value', order: 'groups' }, dense: 'dense' } as const;

/** Attention whose result has a bias, under a name of its own. */
class BiasedAttention extends RotaryAttention {
  private readonly denseBias: TensorRef;

  constructor(layerId: number, config: GptNeoXJapaneseConfig, weights: Weights) {
    super(layerId, config, weights, PROJECTIONS);
    this.denseBias = weights.get('dense_bias', [config.hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.denseBias];
  }

  override buildDenseGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const product = super.buildDenseGraph(graph, kind, input);
    const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'dense_bias_add');
    graph.addOperation(add, [product, this.denseBias.name], ['biased_out']);
    return 'biased_out';
  }
}

/** GPT-NeoX with steps one after the other and no biases but one, of what the last attention gives. */
export class FlashGptNeoXJapaneseForCausalLMATB extends FlashForCausalLMATB<GptNeoXJapaneseConfig> {
  readonly name = 'gpt_neox_japanese';
  protected readonly model: BaseModelATB;

  constructor(config: GptNeoXJapaneseConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps);
    const inner = weights.at('gpt_neox_japanese');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) => {
        const isLast = layerId === config.numHiddenLayers - 1;
        const attention = at.at('attention');
        const parts = {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: isLast
            ? new BiasedAttention(layerId, config, attention)
            : new RotaryAttention(layerId, config, attention, PROJECTIONS),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new UngatedMLP(config, at.at('mlp'), {
            names: { up: 'dense_h_to_4h', down: 'dense_4h_to_h' },
          }),
        };
        return new PreNormLayer(layerId, at, parts, isLast ? 'last' : '');
      },
      norm: norm(inner.at('final_layer_norm')),
      names: { embedding: 'embed_in', layers: 'layers' },
    });
  }
}

export const GptNeoXJapaneseRouter = routerOf(GPT_NEOX_JAPANESE_CONFIG, FlashGptNeoXJapaneseForCausalLMATB, {
  headNames: HEAD,
  about: {
    kind: 'positions',
    features: ['packing head by head', 'a bias where the last attention ends, and no other'],
    reference: 'transformers',
  },
});
registerModel('gpt_neox_japanese', GptNeoXJapaneseRouter);
