import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  experts,
  field,
  flag,
  positive,
  slidingByLayer,
} from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { ExpertStacks } from '../../weights/expert-stacks.js';
import { rowsInTurn } from '../../weights/row-orders.js';
import { transposed, withRowOrder } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { FlashSparseLlamaATB } from '../llama/index.js';

const ATTENTION_BIAS = field('attention_bias', flag, true);

/** Defaults of transformers 5.24, GptOssConfig. */
const GPT_OSS_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 8,
      headDim: 64,
      hiddenAct: 'silu',
      rmsNormEps: 1e-5,
      ropeTheta: 150_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: ATTENTION_BIAS, dense: ATTENTION_BIAS, mlp: false }),
    // The softmax of the chosen logits is that of all of them, divided by the sum of the chosen.
    ...experts({
      numExperts: 128,
      numExpertsPerToken: 4,
      moeIntermediateSize: 'intermediate_size',
      normTopkProb: 'always',
      names: { numExpertsPerToken: ['num_experts_per_tok', 'experts_per_token'] },
    }),
    swigluAlpha: field('swiglu_alpha', positive(100), 1.702),
    swigluLimit: field('swiglu_limit', positive(1e6), 7),
    slidingWindows: slidingByLayer({ window: 128, slides: (layer) => layer % 2 === 0 }),
  },
  irrelevant: { initial_context_length: 'it is original_max_position_embeddings once more' },
});

type GptOssConfig = ConfigOf<typeof GPT_OSS_CONFIG>;

/** The rows of gate (0) or up (1), which lie in turn. */
const inTurn = (turn: 0 | 1, both: TensorRef): TensorRef =>
  withRowOrder(both, rowsInTurn(turn, Math.floor((both.shape[0] ?? 0) / 2)));

/**
 * `gate_up_proj` [experts, hidden, 2 * width], `gate_up_proj_bias` [experts, 2 * width], `down_proj` [experts, width, hidden],
 * `down_proj_bias`. Stacks of mxfp4 are read where such weights are (`weights/formats/mxfp4.ts`); their biases are these.
 */
const STACKS: ExpertStacks = {
  'gate_proj.weight': { tensor: 'gate_up_proj', part: (own) => inTurn(0, transposed(own)) },
  'gate_proj.bias': { tensor: 'gate_up_proj_bias', part: (own) => inTurn(0, own) },
  'up_proj.weight': { tensor: 'gate_up_proj', part: (own) => inTurn(1, transposed(own)) },
  'up_proj.bias': { tensor: 'gate_up_proj_bias', part: (own) => inTurn(1, own) },
  'down_proj.weight': { tensor: 'down_proj', part: transposed },
  'down_proj.bias': { tensor: 'down_proj_bias' },
};

/**
 * gpt-oss (arXiv:2508.10925): experts with biases and a clamped SwiGLU, attention with sinks and, in every second layer, a
 * window. Published experts are mxfp4.
 */
export class FlashGptOssForCausalLMATB extends FlashSparseLlamaATB<GptOssConfig> {
  readonly name = 'gpt_oss';

  constructor(config: GptOssConfig, weights: Weights) {
    const names = { gate: 'router.weight', bias: 'router.bias' };
    const clamp = { limit: config.swigluLimit, gateScale: config.swigluAlpha };
    super(config, weights, {
      selfAttn: (layerId, at) => new RotaryAttention(layerId, config, at, { sinks: 'sinks' }),
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at, names),
          experts: new Experts({ ...config, hasBias: true, clamp }, at.at('experts'), { stacks: STACKS }),
        }),
    });
  }
}

export const GptOssRouter = routerOf(GPT_OSS_CONFIG, FlashGptOssForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['sinks', 'windows by layer', 'clamped SwiGLU', 'mxfp4 experts'],
    reference: 'transformers',
  },
});
registerModel('gpt_oss', GptOssRouter);
