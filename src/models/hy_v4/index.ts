import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { indexerVariant, SparseLatentAttention } from '../../layers/attention/sparse-latent-attention.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP, sharedMLP } from '../../layers/experts/experts.js';
import { addGated, addSigmoid } from '../../layers/linear/gate.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { EqualStreams, HyperConnection, HyperHead } from '../../layers/streams/hyper-connection.js';
import { HyperLayer } from '../../layers/streams/hyper-layer.js';
import { registerModel, routerOf } from '../../router/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { HY_V4_CONFIG, type HyV4Config } from './config-hy-v4.js';

/** Latent attention to chosen keys with sinks, whose result has a gate for each number of each head. */
class HyV4Attention extends SparseLatentAttention {
  readonly gate: Linear;

  /** Throws what `SparseLatentAttention` throws. */
  constructor(layerId: number, config: HyV4Config, weights: Weights) {
    super(layerId, config, weights, { sinks: 'learnable_sink_param' });
    const { hiddenSize: inFeatures, numAttentionHeads, vHeadDim } = config;
    const outFeatures = numAttentionHeads * vHeadDim;
    this.gate = Linear.load(weights, { parts: [{ name: 'linear_gate', outFeatures }], inFeatures });
  }

  protected override buildGatedGraph(graph: AtbGraph, attended: string, input: string): string {
    return addGated(graph, attended, addSigmoid(graph, buildLinear(graph, this.gate, input, 'gate_out')));
  }
}

/** Experts whose gates are clamped, beside one that all tokens share and whose are not. */
const hyV4Experts = (config: HyV4Config, weights: Weights): SparseMLP =>
  new SparseMLP({
    router: new ExpertRouter(config, weights, {
      gate: 'gate.weight',
      correction: 'gate.e_score_correction_bias',
    }),
    experts: new Experts(
      { ...config, clamp: { limit: config.swigluLimit, clampForm: 'gates' } },
      weights.at('experts'),
    ),
    shared: sharedMLP(config, weights.at('shared_experts')),
  });

const NAMES = { fn: 'hc_fn', base: 'hc_base', scale: 'hc_scale' };
const HEAD_NAMES = { fn: 'hc_head_fn', base: 'hc_head_base', scale: 'hc_head_scale' };

function hyV4Layer(layerId: number, config: HyV4Config, weights: Weights): HyperLayer {
  const isSparse = config.sparseLayers[layerId];
  const norm = (name: string) => new BaseRMSNorm(weights.at(name), config.hiddenSize, config.rmsNormEps);
  const around = (name: string, of: string) =>
    new HyperConnection(config, weights.at(name).at('hc_pre'), of, NAMES);
  const mlp = weights.at('mlp');
  const parts = {
    aroundAttention: around('hc_attn_layer', 'attn_streams'),
    inputLayernorm: norm('input_layernorm'),
    selfAttn: new HyV4Attention(layerId, config, weights.at('self_attn')),
    aroundMlp: around('hc_mlp_layer', 'mlp_streams'),
    postAttentionLayernorm: norm('post_attention_layernorm'),
    mlp: isSparse ? hyV4Experts(config, mlp) : new BaseMLP(config, mlp),
  };
  const variant = [isSparse ? '' : 'dense', indexerVariant(config, layerId)];
  return new HyperLayer(layerId, weights, parts, variant.filter((part) => part !== '').join('_'));
}

class HyV4ModelATB extends BaseModelATB {
  readonly begin: EqualStreams;

  constructor(config: HyV4Config, weights: Weights) {
    const norm = new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps);
    super(config, weights, {
      layer: (layerId, at) => hyV4Layer(layerId, config, at),
      norm: new HyperHead(config, weights.at('hc_head'), HEAD_NAMES, norm),
    });
    this.begin = new EqualStreams(config, weights);
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind, embeddings?: string): string {
    return this.begin.buildGraph(graph, super.buildInputGraph(graph, kind, embeddings));
  }
}

/** Hunyuan 4: DeepSeek-V3.2 between streams of hidden states, with gated attention and sinks. */
export class FlashHyV4ForCausalLMATB extends FlashForCausalLMATB<HyV4Config> {
  readonly name = 'hy_v4';
  protected readonly model: HyV4ModelATB;

  constructor(config: HyV4Config, weights: Weights) {
    super(config, weights);
    this.model = new HyV4ModelATB(config, weights.at('model'));
  }
}

export const HyV4Router = routerOf(HY_V4_CONFIG, FlashHyV4ForCausalLMATB, {
  harmlessTensors: [/^model\.mtp_layers\./],
  about: {
    kind: 'experts',
    features: [
      ...['as deepseek_v32', 'layers that share a choice of keys', 'streams (hyper-connections)', 'sinks'],
      ...['gated attention', 'clamped SwiGLU'],
    ],
    reference: 'transformers',
  },
});
registerModel('hy_v4', HyV4Router);
