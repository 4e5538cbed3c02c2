import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseAttention } from '../../layers/base-attention.js';
import type { BaseLayer } from '../../layers/base-layer.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  field,
  flag,
  fullAttention,
  groupedQueryAttention,
  mlp,
  positive,
  rotaryConfig,
  textModel,
} from '../../layers/config/index.js';
import { ParallelLayer, PreNormLayer } from '../../layers/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp.js';
import { BaseLayerNorm, PerHeadLayerNorm } from '../../layers/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Defaults of transformers 5.24, StableLmConfig. */
const STABLELM_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...groupedQueryAttention({ numKeyValueHeads: 32, headDim: 'hidden_size / num_attention_heads' }),
    ...mlp({ hiddenAct: 'silu' }),
    ...biases({ qkv: 'use_qkv_bias', dense: false, mlp: false }),
    layerNormEps: field('layer_norm_eps', positive(1), 1e-5),
    rope: rotaryConfig({ theta: 10_000, factor: 0.25 }),
    slidingWindows: fullAttention,
    qkLayernorm: field('qk_layernorm', flag, false),
    useParallelResidual: field('use_parallel_residual', flag, false),
  },
});
type StableLmConfig = ConfigOf<typeof STABLELM_CONFIG>;

/** Attention whose queries and keys may have a LayerNorm for each head. */
export class StableLmAttention extends BaseAttention {
  readonly qNorm: PerHeadLayerNorm | undefined;
  readonly kNorm: PerHeadLayerNorm | undefined;

  constructor(layerId: number, config: StableLmConfig, weights: Weights) {
    super(layerId, config, weights);
    const norm = (name: string, heads: number) => {
      const at = weights.at(name);
      const ofHead = (head: number) => at.at('norms').at(head).get('weight', [config.headDim]);
      return new PerHeadLayerNorm(at, { ...config, heads }, config.layerNormEps, ofHead);
    };
    if (!config.qkLayernorm) return;
    this.qNorm = norm('q_layernorm', config.numAttentionHeads);
    this.kNorm = norm('k_layernorm', config.numKeyValueHeads);
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const normedQ = this.qNorm?.buildGraph(graph, q) ?? q;
    const normedK = this.kNorm?.buildGraph(graph, k) ?? k;
    const rotated = this.buildRopeGraph(graph, normedQ, normedK);
    const attended = this.buildAttentionGraph(graph, kind, { ...rotated, v });
    return this.buildDenseGraph(graph, kind, attended);
  }
}

/** LayerNorm, a quarter of each head that turns, layers sequential or parallel (arXiv:2402.17834, section 3). */
export class FlashStableLmForCausalLMATB extends FlashForCausalLMATB<StableLmConfig> {
  readonly name = 'stablelm';
  protected readonly model: BaseModelATB;

  constructor(config: StableLmConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) =>
      new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps, { hasBias: true });
    const layer = (layerId: number, at: Weights): BaseLayer => {
      const inputLayernorm = norm(at.at('input_layernorm'));
      const selfAttn = new StableLmAttention(layerId, config, at.at('self_attn'));
      const parts = { inputLayernorm, selfAttn, mlp: new BaseMLP(config, at.at('mlp')) };
      if (config.useParallelResidual) return new ParallelLayer(layerId, at, parts);
      const postAttentionLayernorm = norm(at.at('post_attention_layernorm'));
      return new PreNormLayer(layerId, at, { ...parts, postAttentionLayernorm });
    };
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, { layer, norm: norm(inner.at('norm')) });
  }
}

export const StableLmRouter = routerOf(STABLELM_CONFIG, FlashStableLmForCausalLMATB);
registerModel('stablelm', StableLmRouter);
