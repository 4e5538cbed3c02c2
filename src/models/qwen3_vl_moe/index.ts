import { type ConfigOf, defineConfig, experts, sparseBySteps, within } from '../../layers/config/index.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { ExpertStacks } from '../../weights/expert-stacks.js';
import { rowsOf, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { sparseLayers } from '../llama/index.js';
import { Qwen3Attention } from '../qwen3/index.js';
import {
  FlashQwen3vlForCausalLMATB,
  QWEN3_VL_FIELDS,
  QWEN3_VL_IRRELEVANT,
  qwen3vlText,
  TimedProcessor,
} from '../qwen3_vl/index.js';

/** Defaults of transformers 5.24, Qwen3VLMoeConfig. */
const QWEN3_VL_MOE_CONFIG = defineConfig({
  fields: {
    ...within('text_config', {
      ...qwen3vlText({ numKeyValueHeads: 16, headDim: 'hidden_size / num_attention_heads' }),
      ...experts({
        numExperts: 60,
        numExpertsPerToken: 4,
        moeIntermediateSize: 1408,
        normTopkProb: 'always',
      }),
      sparseLayers: sparseBySteps,
    }),
    ...QWEN3_VL_FIELDS,
  },
  irrelevant: QWEN3_VL_IRRELEVANT,
});
type Qwen3vlMoeConfig = ConfigOf<typeof QWEN3_VL_MOE_CONFIG>;

/** Of an expert [outputs, inputs], which published files have the other way round and transformers 5 writes like this. */
const upright = (own: TensorRef, inputs: number): TensorRef =>
  own.shape[1] === inputs && own.shape[0] !== inputs ? own : transposed(own);

/** `gate_up_proj` and `down_proj` of all experts; rows of gates come before those of what they gate. */
function stacksOf({ hiddenSize, moeIntermediateSize: width }: Qwen3vlMoeConfig): ExpertStacks {
  const half = (from: number) => (own: TensorRef) => rowsOf(upright(own, hiddenSize), from, width);
  return {
    'gate_proj.weight': { tensor: 'gate_up_proj', part: half(0) },
    'up_proj.weight': { tensor: 'gate_up_proj', part: half(width) },
    'down_proj.weight': { tensor: 'down_proj', part: (own) => upright(own, width) },
  };
}

/** Qwen3-VL with experts in place of some or all MLPs (arXiv:2511.21631). */
export class FlashQwen3vlMoeForCausalLMATB extends FlashQwen3vlForCausalLMATB<Qwen3vlMoeConfig> {
  override readonly name = 'qwen3_vl_moe';

  constructor(config: Qwen3vlMoeConfig, weights: Weights) {
    const layer = sparseLayers(config, {
      selfAttn: (layerId, at) => new Qwen3Attention(layerId, config, at),
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at),
          experts: new Experts(config, at.at('experts'), { stacks: stacksOf(config) }),
        }),
    });
    super(config, weights, { layer });
  }
}

export const Qwen3vlMoeRouter = routerOf(QWEN3_VL_MOE_CONFIG, FlashQwen3vlMoeForCausalLMATB, {
  mediaProcessor: (folder, config, encode) => TimedProcessor.read(folder, config, encode),
  about: { kind: 'media', features: ['as qwen3_vl', 'experts of qwen3_moe'], reference: 'transformers' },
});
registerModel('qwen3_vl_moe', Qwen3vlMoeRouter);
