import {
  type AtbGraph,
  addResidual,
  BaseAttention,
  BaseLayer,
  BaseLayerNorm,
  BaseModelATB,
  biases,
  type ConfigOf,
  defineConfig,
  FlashForCausalLMATB,
  field,
  fullAttention,
  type GraphKind,
  groupedQueryAttention,
  mlp,
  positive,
  registerModel,
  rotaryConfig,
  routerOf,
  textModel,
  UngatedMLP,
  type Weights,
} from 'atb-models';

/** Persimmon-8B's defaults in transformers 5.24, without its norms of queries and keys; the package has it with them. */
const PERSIMMON_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...groupedQueryAttention({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
    }),
    ...mlp({ hiddenAct: 'relu2' }),
    ...biases({ qkv: true, dense: true, mlp: true }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 25_000, factor: 0.5 }),
    slidingWindows: fullAttention,
  },
});
type PersimmonConfig = ConfigOf<typeof PERSIMMON_CONFIG>;

class PersimmonAttention extends BaseAttention {
  constructor(layerId: number, config: PersimmonConfig, weights: Weights) {
    super(layerId, config, weights, { qkv: { packed: 'query_key_value', order: 'groups' }, dense: 'dense' });
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const attended = this.buildAttentionGraph(graph, kind, { ...this.buildRopeGraph(graph, q, k), v });
    return this.buildDenseGraph(graph, kind, attended);
  }
}

class PersimmonLayer extends BaseLayer {
  readonly inputLayernorm: BaseLayerNorm;
  readonly selfAttn: PersimmonAttention;
  readonly postAttentionLayernorm: BaseLayerNorm;
  readonly mlp: UngatedMLP;

  constructor(layerId: number, config: PersimmonConfig, weights: Weights) {
    super(layerId, weights);
    const norm = (name: string) =>
      new BaseLayerNorm(weights.at(name), config.hiddenSize, config.layerNormEps, { hasBias: true });
    this.inputLayernorm = norm('input_layernorm');
    this.selfAttn = new PersimmonAttention(layerId, config, weights.at('self_attn'));
    this.postAttentionLayernorm = norm('post_attention_layernorm');
    this.mlp = new UngatedMLP(config, weights.at('mlp'), {
      names: { up: 'dense_h_to_4h', down: 'dense_4h_to_h' },
    });
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const attended = this.selfAttn.buildGraph(graph, kind, this.inputLayernorm.buildGraph(graph, hidden));
    const residual = addResidual(graph, hidden, attended, 'attn_residual');
    const mixed = this.mlp.buildGraph(graph, kind, this.postAttentionLayernorm.buildGraph(graph, residual));
    return addResidual(graph, residual, mixed, 'layer_out');
  }
}

export class FlashPersimmonForCausalLMATB extends FlashForCausalLMATB<PersimmonConfig> {
  readonly name = 'my_persimmon';
  protected readonly model: BaseModelATB;

  constructor(config: PersimmonConfig, weights: Weights) {
    super(config, weights);
    const inner = weights.at('model');
    const { hiddenSize, layerNormEps } = config;
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) => new PersimmonLayer(layerId, config, at),
      norm: new BaseLayerNorm(inner.at('final_layernorm'), hiddenSize, layerNormEps, { hasBias: true }),
    });
  }
}

registerModel('my_persimmon', routerOf(PERSIMMON_CONFIG, FlashPersimmonForCausalLMATB));
