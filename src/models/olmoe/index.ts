import type { AtbGraph } from '../../graph/atb-graph.js';
import { NormedRotaryAttention } from '../../layers/attention/attention-orders.js';
import type { Qkv } from '../../layers/attention/base-attention.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  field,
  fullAttention,
  LLAMA_DEFAULTS,
  positive,
} from '../../layers/config/index.js';
import { ExpertRouter, type RouterConfig } from '../../layers/experts/expert-router.js';
import { Experts, type ExpertsConfig, SparseMLP } from '../../layers/experts/experts.js';
import { Clamp } from '../../layers/formulas/clamp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';
import { olmo2Norms } from '../olmo2/index.js';

/** Experts that softmax chooses of, in place of an MLP. */
export const olmoeExperts = (
  config: Omit<RouterConfig, 'scoring'> & ExpertsConfig,
  weights: Weights,
): SparseMLP =>
  new SparseMLP({
    router: new ExpertRouter({ ...config, scoring: 'softmax' }, weights),
    experts: new Experts(config, weights.at('experts')),
  });

/** Defaults of transformers 5.24, OlmoeConfig. */
const OLMOE_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: 64,
      numExpertsPerToken: 8,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: false,
    }),
    clipQkv: field('clip_qkv', positive(1e6), undefined),
    slidingWindows: fullAttention,
  },
});

type OlmoeConfig = ConfigOf<typeof OLMOE_CONFIG>;

/** OLMo 2's, whose queries, keys and values some models keep within bounds. */
export class OlmoeAttention extends NormedRotaryAttention {
  readonly clamp: Clamp | undefined;

  constructor(layerId: number, config: OlmoeConfig, weights: Weights) {
    super(layerId, config, weights, olmo2Norms(config, weights));
    this.clamp = config.clipQkv === undefined ? undefined : new Clamp(weights, 'clip_qkv', config.clipQkv);
  }

  override buildQkvGraph(graph: AtbGraph, input: string): Qkv {
    const { q, k, v } = super.buildQkvGraph(graph, input);
    return { q, k, v: this.clamp?.buildGraph(graph, v, 'clipped_v') ?? v };
  }

  protected override buildPositionGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    const clipped = (name: string, input: string) => this.clamp?.buildGraph(graph, input, name) ?? input;
    return super.buildPositionGraph(graph, clipped('clipped_q', q), clipped('clipped_k', k));
  }
}

/** Llama with OLMo 2's norms of queries and keys, and experts in place of all MLPs (arXiv:2409.02060, section 2). */
export class FlashOlmoeForCausalLMATB extends FlashSparseLlamaATB<OlmoeConfig> {
  readonly name = 'olmoe';

  constructor(config: OlmoeConfig, weights: Weights) {
    super(config, weights, {
      selfAttn: (layerId, at) => new OlmoeAttention(layerId, config, at),
      experts: (at) => olmoeExperts(config, at),
    });
  }
}

export const OlmoeRouter = routerOf(OLMOE_CONFIG, FlashOlmoeForCausalLMATB, {
  about: { kind: 'experts', features: ['norms of q and k over all heads'], reference: 'transformers' },
});
registerModel('olmoe', OlmoeRouter);
