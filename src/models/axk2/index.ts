import { type AtbGraph } from '../../graph/atb-graph.js';
import { queryParts, splitHeads } from '../../layers/attention/latent-heads.js';
import { SparseLatentAttention } from '../../layers/attention/sparse-latent-attention.js';
import {
  type ConfigOf,
  defineConfig,
  expertGroups,
  field,
  indexer,
  only,
  ownIndexers,
  SIZE,
  sparseByType,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { addSplit, beside } from '../../layers/formulas/split.js';
import { addGated, addSigmoid } from '../../layers/linear/gate.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { GatedRMSNorm } from '../../layers/norms/gated-norm.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { Linear } from '../../weights/linear.js';
import type { LinearPart } from '../../weights/linear-part.js';
import type { Weights } from '../../weights/weights.js';
import { DEEPSEEK_IRRELEVANT, deepseek } from '../deepseek_v2/index.js';
import { sparseDeepseek } from '../deepseek_v32/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, AXK2Config. */
const AXK2_CONFIG = defineConfig({
  fields: {
    ...deepseek({
      ...{ qLoraRank: 384, kvLoraRank: 128, qkNopeHeadDim: 64, qkRopeHeadDim: 32, vHeadDim: 64 },
      experts: { numExperts: 128, numExpertsPerToken: 8, moeIntermediateSize: 512, normTopkProb: true },
      ...{ sharedExperts: 1, firstDenseLayers: 1, routedScalingFactor: 2.5, mlpBias: false },
    }),
    ...sparseDeepseek(384),
    // AXK2Config puts the part that turns in the place of what files say under head_dim.
    headDim: field('qk_rope_head_dim', SIZE, 32),
    sparseLayers: sparseByType({ dense: 1 }),
    ...indexer({ heads: 16, interleaved: false }),
    indexOwners: ownIndexers,
    expertGroups: expertGroups({ count: undefined, kept: undefined, scored: 2 }),
    gatedNormRank: field('gated_norm_rank', SIZE, 16),
    // What files of the published code say of what transformers has in all models of the family.
    hasGatedNorms: field('gated_norm', only(true), true),
    hasGate: field('attention_output_gate', only(true), true),
    isGateFused: field('attn_gate_fused', only(true), true),
  },
  irrelevant: { ...DEEPSEEK_IRRELEVANT, head_dim: 'the model reads qk_rope_head_dim' },
});
type AXK2Config = ConfigOf<typeof AXK2_CONFIG>;

/**
 * Latent attention to chosen keys, whose result has a gate for each number of each head. One projection makes queries
 * and gates, of the vector that others' queries are made of: behind its norm, and before it.
 */
class AXK2Attention extends SparseLatentAttention {
  /** `q_b_proj` [heads * (qkNopeHeadDim + headDim + vHeadDim), 2 * qLoraRank], each head's gates behind its queries. */
  protected override loadQueries(weights: Weights, part: LinearPart, qLoraRank: number): Linear {
    const { numAttentionHeads: heads, qkNopeHeadDim: still, headDim, vHeadDim: behind, rope } = this.config;
    const outFeatures = heads * (still + headDim + behind);
    const rowOrder = splitHeads({ heads, still, headDim, rope, behind });
    return Linear.load(weights, { parts: [{ ...part, outFeatures, rowOrder }], inFeatures: 2 * qLoraRank });
  }

  protected override buildQueriesGraph(graph: AtbGraph, qUp: Linear, normed: string): void {
    const { numAttentionHeads, vHeadDim } = this.config;
    const made = buildLinear(graph, qUp, beside(graph, normed, 'q_a', 'q_a_twice'), 'q_b_out');
    addSplit(graph, 'q_b_split', made, [...queryParts(this.config), ['gate', numAttentionHeads * vHeadDim]]);
  }

  protected override buildGatedGraph(graph: AtbGraph, attended: string): string {
    return addGated(graph, attended, addSigmoid(graph, 'gate'));
  }
}

function axk2Layer(layerId: number, config: AXK2Config, weights: Weights): PreNormLayer {
  const isSparse = config.sparseLayers[layerId];
  const [behindAttention, mlp] = [weights.at('post_attention_layernorm'), weights.at('mlp')];
  const parts = {
    inputLayernorm: new GatedRMSNorm(config, weights.at('input_layernorm')),
    selfAttn: new AXK2Attention(layerId, config, weights.at('self_attn')),
  };
  if (isSparse) {
    const postAttentionLayernorm = new GatedRMSNorm(config, behindAttention);
    const experts = sigmoidExperts(config, mlp, { correction: 'gate.e_score_correction_bias' });
    return new PreNormLayer(layerId, weights, { ...parts, postAttentionLayernorm, mlp: experts });
  }
  const postAttentionLayernorm = new BaseRMSNorm(behindAttention, config.hiddenSize, config.rmsNormEps);
  const dense = { ...parts, postAttentionLayernorm, mlp: new BaseMLP(config, mlp) };
  return new PreNormLayer(layerId, weights, dense, 'dense');
}

/** A.X K2: DeepSeek-V3.2 whose norms and attention have gates. */
export class FlashAXK2ForCausalLMATB extends FlashLlamaForCausalLMATB<AXK2Config> {
  override readonly name = 'axk2';

  constructor(config: AXK2Config, weights: Weights) {
    super(config, weights, (layerId, at) => axk2Layer(layerId, config, at));
  }
}

export const AXK2Router = routerOf(AXK2_CONFIG, FlashAXK2ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as deepseek_v32', 'gated norms', 'gated attention'],
    reference: 'transformers',
  },
});
registerModel('axk2', AXK2Router);
