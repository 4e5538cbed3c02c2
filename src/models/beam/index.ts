import type { AtbGraph } from '../../graph/atb-graph.js';
import type { Qkv } from '../../layers/attention/base-attention.js';
import { GatedAttention } from '../../layers/attention/gated-attention.js';
import {
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  expertGroups,
  experts,
  type Field,
  LLAMA_DEFAULTS,
  type RotarySizes,
  rotaryConfigByLayerType,
  routedScalingFactor,
  slidingByLayer,
  softcap,
  sparseByType,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { SandwichLayer } from '../../layers/decoder/decoder-layers.js';
import { sigmoidExperts } from '../../layers/experts/sigmoid-experts.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { addSigmoid } from '../../layers/linear/gate.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { QUERY_SCALES, type RopeConfig } from '../../step-inputs/index.js';
import { withRowOrder } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { SIGMOID } from '../deepseek_v3/index.js';
import { qwen3Norms } from '../qwen3/index.js';

type Layers = { readonly numHiddenLayers: number };

/** Of layers with a window; the others know no positions, which files say by null. */
const rope: Field<RopeConfig, RotarySizes> = {
  read(json, config) {
    const type = 'sliding_attention';
    if (json.section('rope_parameters')?.isNull(type))
      json.problem(`rope_parameters.${type} must be an object: layers with a window turn`);
    return rotaryConfigByLayerType({ [type]: { theta: 10_000, isScaled: false } }).read(json, config)[type];
  },
};

/** Defaults of transformers 5.24, BeamConfig. */
const BEAM_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8, headDim: 128 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...experts({
      numExperts: 256,
      numExpertsPerToken: 8,
      moeIntermediateSize: 2560,
      normTopkProb: true,
    }),
    rope,
    // Of layers without a window, the first position being 1.
    queryScale: constant({ power: 0.1, length: 2048, first: 1 } as const),
    slidingWindows: slidingByLayer({
      window: 512,
      slides: (layer, { numHiddenLayers: layers }: Layers) => (layer + 1) % 6 !== 0 && layer !== layers - 1,
    }),
    sparseLayers: sparseByType({ dense: 3 }),
    scoring: SIGMOID,
    expertGroups: expertGroups({ count: 8, kept: 4, scored: 2 }),
    routedScalingFactor: routedScalingFactor(2.5),
    sharedExperts: constant(0),
    logitSoftcap: softcap('final_logit_softcapping', 30),
  },
});
type BeamConfig = ConfigOf<typeof BEAM_CONFIG>;

/** Gated attention with norms of queries and keys, in layers with a window: the gate has a bias for each head. */
class BeamAttention extends GatedAttention {
  private readonly gateBias: TensorRef;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(layerId: number, config: BeamConfig, weights: Weights) {
    super(layerId, config, weights, qwen3Norms(config, weights), { name: 'gate_proj', hasBias: false });
    const { numAttentionHeads: heads, headDim } = config;
    const headOf = Int32Array.from({ length: heads * headDim }, (_, at) => Math.floor(at / headDim));
    this.gateBias = withRowOrder(weights.get('gate_bias', [heads]), headOf);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.gateBias];
  }

  protected override buildPositionGraph(graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return this.buildRopeGraph(graph, q, k);
  }

  protected override buildGateGraph(graph: AtbGraph, projected: string): string {
    return addSigmoid(graph, addResidual(graph, projected, this.gateBias.name, 'biased_gate'));
  }
}

/** The same in layers that see all keys, where queries grow with their positions and nothing turns. */
class BeamFullAttention extends BeamAttention {
  protected override readonly queryScales = QUERY_SCALES;

  protected override buildPositionGraph(_graph: AtbGraph, q: string, k: string): Omit<Qkv, 'v'> {
    return { q, k };
  }
}

/**
 * Sandwiches of gated attention and of experts. In the original what the n-th step adds to a hidden state h makes of it
 * (h * sqrt(n - 1) + step) / sqrt(n). Here layers carry h * sqrt(n), to which steps are added as they are: all that
 * reads it is a norm, which is the same with n times its epsilon.
 */
export class FlashBeamForCausalLMATB extends FlashForCausalLMATB<BeamConfig> {
  readonly name = 'beam';
  protected readonly model: BaseModelATB;

  constructor(config: BeamConfig, weights: Weights) {
    super(config, weights, { softcap: config.logitSoftcap });
    const { hiddenSize, rmsNormEps, numHiddenLayers } = config;
    const norm = (at: Weights, added = 1) => new BaseRMSNorm(at, hiddenSize, rmsNormEps * added);
    const names = { correction: 'gate.e_score_correction_bias' };
    const layer = (layerId: number, at: Weights) => {
      const [isSparse, added] = [config.sparseLayers[layerId], 2 * layerId + 1];
      const Attention = config.slidingWindows[layerId] === undefined ? BeamFullAttention : BeamAttention;
      const parts = {
        beforeAttention: norm(at.at('input_layernorm'), added),
        selfAttn: new Attention(layerId, config, at.at('self_attn')),
        afterAttention: norm(at.at('post_attention_layernorm')),
        beforeMlp: norm(at.at('pre_feedforward_layernorm'), added + 1),
        mlp: isSparse ? sigmoidExperts(config, at.at('mlp'), names) : new BaseMLP(config, at.at('mlp')),
        afterMlp: norm(at.at('post_feedforward_layernorm')),
      };
      const variant = [slidingVariant(config, layerId), isSparse ? '' : 'dense', `after_${added}`];
      return new SandwichLayer(layerId, at, parts, variant.filter((part) => part !== '').join('_'));
    };
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, {
      layer,
      norm: norm(inner.at('norm'), 2 * numHiddenLayers + 1),
    });
  }
}

export const BeamRouter = routerOf(BEAM_CONFIG, FlashBeamForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...[
        'gated attention',
        'sandwich norms',
        'norms of q and k',
        'windows by layer',
        'layers without rotary',
      ],
      ...['queries that grow with positions', 'groups of experts', 'steps that count for less with depth'],
    ],
    reference: 'transformers',
  },
});
registerModel('beam', BeamRouter);
