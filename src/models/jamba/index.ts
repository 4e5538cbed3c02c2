import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  defineConfig,
  experts,
  type Field,
  field,
  fullAttention,
  groupedQueryAttention,
  integer,
  keysBecause,
  LLAMA_DEFAULTS,
  mamba,
  only,
  positive,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { MambaMixer } from '../../layers/recurrent/mamba.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** One layer of `<what>_layer_period`, namely that of `<what>_layer_offset` in it. */
const oneOfPeriod = (
  what: string,
  [defaultPeriod, defaultOffset]: readonly [period: number, offset: number],
): Field<readonly boolean[], { readonly numHiddenLayers: number }> => ({
  read(json, { numHiddenLayers: length }) {
    const period = json.value(`${what}_layer_period`, integer(1, 1000)) ?? defaultPeriod;
    const offset = json.value(`${what}_layer_offset`, integer(0, 1000)) ?? defaultOffset;
    if (offset >= period)
      json.problem(`${what}_layer_offset (${offset}) must be less than ${what}_layer_period (${period})`);
    return Array.from({ length }, (_, layer) => layer % period === offset);
  },
});

/** Defaults of transformers 5.24, JambaConfig. */
const JAMBA_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: false }),
    ...groupedQueryAttention({ ...LLAMA_DEFAULTS, numKeyValueHeads: 8 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    ...mamba,
    intermediateSize: field('intermediate_size', WIDTH, 14_336),
    hiddenAct: field('hidden_act', only('silu'), 'silu' as const),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
    ...experts({
      numExperts: 16,
      numExpertsPerToken: 2,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: false,
    }),
    normTopkProb: field('norm_topk_prob', only(false), false),
    attends: oneOfPeriod('attn', [8, 4]),
    sparseLayers: oneOfPeriod('expert', [2, 1]),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    num_logits_to_keep: 'says what a call returns',
    ...keysBecause(
      'says which kernels another program takes',
      ...['use_mamba_kernels', 'use_mambapy', 'use_associative_scan'],
    ),
  },
});
type JambaConfig = ConfigOf<typeof JAMBA_CONFIG>;

/** Experts where there are several: their weights are not divided by their sum. */
function mlpOf(config: JambaConfig, at: Weights, isSparse: boolean): BaseMLP | SparseMLP {
  if (!isSparse) return new BaseMLP(config, at);
  return new SparseMLP({
    router: new ExpertRouter({ ...config, scoring: 'softmax' }, at, { gate: 'router.weight' }),
    experts: new Experts(config, at.at('experts')),
  });
}

/**
 * Jamba (arXiv:2403.19887): mixers of Mamba and, in between, attention that knows no positions, before MLPs and experts in
 * turn. What the mixers' steps are made of, B and C are normed.
 */
export class FlashJambaForCausalLMATB extends FlashForCausalLMATB<JambaConfig> {
  readonly name = 'jamba';
  protected readonly model: BaseModelATB;

  constructor(config: JambaConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights, size = config.hiddenSize) => new BaseRMSNorm(at, size, config.rmsNormEps);
    const inner = weights.at('model');
    const layer = (layerId: number, at: Weights) => {
      const attends = config.attends[layerId];
      const isSparse = config.sparseLayers[layerId] === true && config.numExperts > 1;
      const parts = {
        inputLayernorm: norm(at.at('input_layernorm')),
        selfAttn: attends
          ? new PositionFreeAttention(layerId, config, at.at('self_attn'))
          : new MambaMixer(layerId, config, at.at('mamba'), norm),
        postAttentionLayernorm: norm(at.at('pre_ff_layernorm')),
        mlp: mlpOf(config, at.at('feed_forward'), isSparse),
      };
      const variant = [attends ? '' : 'mamba', isSparse ? 'sparse' : ''];
      return new PreNormLayer(layerId, at, parts, variant.filter((part) => part !== '').join('_'));
    };
    this.model = new BaseModelATB(config, inner, { layer, norm: norm(inner.at('final_layernorm')) });
  }
}

export const JambaRouter = routerOf(JAMBA_CONFIG, FlashJambaForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['mixers of Mamba', 'norms of steps, B and C', 'MLPs beside experts', 'no rotary'],
    reference: 'transformers',
  },
});
registerModel('jamba', JambaRouter);
