import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import {
  activation,
  type ConfigOf,
  constant,
  defineConfig,
  experts,
  type Field,
  field,
  fullAttention,
  HEADS,
  keysBecause,
  only,
  positive,
  required,
  rotaryConfig,
  SIZE,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { AttentionExperts } from '../../layers/experts/attention-experts.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Each of a token's experts brings as many heads of queries as there are of keys. */
const headsOfChoices: Field<
  number,
  { readonly numKeyValueHeads: number; readonly numExpertsPerToken: number }
> = { read: (_, { numKeyValueHeads, numExpertsPerToken }) => numKeyValueHeads * numExpertsPerToken };

/** Defaults of transformers 5.24, JetMoeConfig. */
const JETMOE_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    numKeyValueHeads: field('num_key_value_heads', HEADS, required),
    headDim: field(['kv_channels', 'head_dim'], SIZE, 128),
    intermediateSize: field('intermediate_size', WIDTH, required),
    hiddenAct: activation('activation_function', 'silu'),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
    rope: rotaryConfig({ theta: 10_000 }),
    ...experts({
      numExperts: 8,
      numExpertsPerToken: 2,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: 'always',
    }),
    numAttentionHeads: headsOfChoices,
    scoring: constant('softmax' as const),
    usesBias: field('bias', only(true), true),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    num_attention_heads: 'follows from others',
    ...keysBecause('is of training alone', 'aux_loss_coef'),
  },
});
type JetMoeConfig = ConfigOf<typeof JETMOE_CONFIG>;

/** Of the norms in layers, whatever config.json says of the last (transformers 5.24, JetMoeRMSNorm's default). */
const LAYER_EPSILON = 1e-6;

/** Experts to whose sum a bias is added. */
class BiasedExperts extends SparseMLP {
  private readonly bias: TensorRef;

  constructor(config: JetMoeConfig, weights: Weights) {
    super({
      router: new ExpertRouter(config, weights, { gate: 'router.layer.weight' }),
      experts: new Experts(config, weights, {
        stacked: { gateUp: 'input_linear.weight', down: 'output_linear.weight' },
      }),
    });
    this.bias = weights.get('bias', [config.hiddenSize]);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.bias];
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return addResidual(graph, super.buildGraph(graph, kind, input), this.bias.name, 'biased_out');
  }
}

/** JetMoE (arXiv:2404.07413): a mixture of attention heads before a mixture of MLPs. */
export class FlashJetMoeForCausalLMATB extends FlashForCausalLMATB<JetMoeConfig> {
  readonly name = 'jetmoe';
  protected readonly model: BaseModelATB;

  constructor(config: JetMoeConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights, epsilon = LAYER_EPSILON) => new BaseRMSNorm(at, config.hiddenSize, epsilon);
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new AttentionExperts(layerId, config, at.at('self_attention')),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: new BiasedExperts(config, at.at('mlp')),
        }),
      norm: norm(inner.at('norm'), config.rmsNormEps),
    });
  }
}

export const JetMoeRouter = routerOf(JETMOE_CONFIG, FlashJetMoeForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['experts of attention, too', 'biases of what experts give'],
    reference: 'transformers',
  },
});
registerModel('jetmoe', JetMoeRouter);
