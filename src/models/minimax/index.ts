import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  field,
  fullAttention,
  keysBecause,
  LLAMA_DEFAULTS,
  layersOfType,
  only,
  positive,
  rotaryOfDim,
} from '../../layers/config/index.js';
import { PreNormLayer, type PreNormParts } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { addResidual, addScaled } from '../../layers/formulas/residual.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { LightningAttention } from '../../layers/recurrent/lightning-attention.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

const factor = (name: string) => field(name, positive(1e6), 1);

/** Defaults of transformers 5.24, MiniMaxConfig. */
const MINIMAX_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, rmsNormEps: 1e-5 }),
    rope: rotaryOfDim(1_000_000),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...experts({
      numExperts: 8,
      numExpertsPerToken: 2,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: 'always',
    }),
    hiddenAct: field('hidden_act', only('silu'), 'silu' as const),
    attends: layersOfType('full_attention', 'linear_attention', () => (layer) => layer % 2 === 0),
    attentionAlpha: factor('full_attn_alpha_factor'),
    attentionBeta: factor('full_attn_beta_factor'),
    lightningAlpha: factor('linear_attn_alpha_factor'),
    lightningBeta: factor('linear_attn_beta_factor'),
    mlpAlpha: factor('mlp_alpha_factor'),
    mlpBeta: factor('mlp_beta_factor'),
    addsToNormed: field('postnorm', only(true), true),
    sharedWidth: field('shared_intermediate_size', only(0), 0),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    router_jitter_noise: 'is added in training alone',
    shared_moe_mode: 'is of shared experts, of which there are none',
    ...keysBecause('says how kernels of GPUs cut prompts', 'block_size'),
  },
});
type MiniMaxConfig = ConfigOf<typeof MINIMAX_CONFIG>;

/** What a step's normed input and its result are multiplied by. */
type Factors = readonly [alpha: number, beta: number];

/** x = alpha * norm(x) + beta * step(norm(x)), twice. */
class WeighedResidualLayer extends PreNormLayer {
  constructor(
    layerId: number,
    weights: Weights,
    parts: PreNormParts,
    variant: string,
    private readonly factors: { readonly attention: Factors; readonly mlp: Factors },
  ) {
    super(layerId, weights, parts, variant);
  }

  protected override buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const sum = (normed: string, stepped: string, [alpha, beta]: Factors, out: string) =>
      addResidual(
        graph,
        addScaled(graph, normed, alpha, `${out}_alpha`),
        addScaled(graph, stepped, beta, `${out}_beta`),
        out,
      );
    const normed = this.inputLayernorm.buildGraph(graph, hidden);
    const attended = this.selfAttn.buildGraph(graph, kind, normed);
    const residual = sum(normed, attended, this.factors.attention, 'attn_residual');
    const normedAgain = this.postAttentionLayernorm.buildGraph(graph, residual);
    const mixed = this.mlp.buildGraph(graph, kind, normedAgain);
    return sum(normedAgain, mixed, this.factors.mlp, 'layer_out');
  }
}

/**
 * MiniMax-Text-01 (arXiv:2501.08313): Mixtral with lightning attention in most layers, and weighed residuals. Of a head as
 * much turns as `rotary_dim` says, as in MiniMax's own code; transformers 5.24 turns all of it.
 */
export class FlashMiniMaxForCausalLMATB extends FlashForCausalLMATB<MiniMaxConfig> {
  readonly name = 'minimax';
  protected readonly model: BaseModelATB;

  constructor(config: MiniMaxConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const inner = weights.at('model');
    const layer = (layerId: number, at: Weights) => {
      const attends = config.attends[layerId];
      const moe = at.at('block_sparse_moe');
      const parts = {
        inputLayernorm: norm(at.at('input_layernorm')),
        selfAttn: attends
          ? new RotaryAttention(layerId, config, at.at('self_attn'))
          : new LightningAttention(layerId, config, at.at('self_attn')),
        postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
        mlp: new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, moe),
          experts: new Experts(config, moe.at('experts'), { gate: 'w1', up: 'w3', down: 'w2' }),
        }),
      };
      return new WeighedResidualLayer(layerId, at, parts, attends ? '' : 'lightning', {
        attention: attends
          ? [config.attentionAlpha, config.attentionBeta]
          : [config.lightningAlpha, config.lightningBeta],
        mlp: [config.mlpAlpha, config.mlpBeta],
      });
    };
    this.model = new BaseModelATB(config, inner, { layer, norm: norm(inner.at('norm')) });
  }
}

export const MiniMaxRouter = routerOf(MINIMAX_CONFIG, FlashMiniMaxForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['lightning attention in some layers', 'weighed residuals'],
    reference: 'transformers',
  },
  // What follows from the number of a layer.
  harmlessTensors: [/\.self_attn\.(slope_rate|query_decay|key_decay|diagonal_decay)$/],
});
registerModel('minimax', MiniMaxRouter);
