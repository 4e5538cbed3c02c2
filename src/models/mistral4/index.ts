import {
  type ConfigOf,
  constant,
  defineConfig,
  expertGroups,
  type Field,
  field,
  flag,
  integer,
  queryScale,
  rotaryConfig,
  statedRope,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { deepseek, FlashDeepseekForCausalLMATB } from '../deepseek_v2/index.js';

const HEAD_SIZE = integer(1, 1000);

/** A head's sizes: those that stay, and `headDim` behind them, which turn. */
interface HeadSizes {
  readonly qkNopeHeadDim: number;
  readonly headDim: number;
}

/** Files name the whole head, in which both parts must find their places. */
const wholeHead: Field<number, HeadSizes> = {
  read(json, { qkNopeHeadDim, headDim }) {
    const whole = qkNopeHeadDim + headDim;
    const found = json.value(['head_dim', 'qk_head_dim'], HEAD_SIZE) ?? whole;
    if (found !== whole)
      json.problem(`head_dim must be qk_nope_head_dim + qk_rope_head_dim (${whole}), found ${found}`);
    return whole;
  },
};

/** The share that turns is one of the whole head. */
const rope: Field<RopeConfig, HeadSizes & { readonly maxPositionEmbeddings: number }> = {
  read(json, { qkNopeHeadDim, headDim, maxPositionEmbeddings }) {
    const whole = qkNopeHeadDim + headDim;
    const interleaved = json.value('rope_interleave', flag) ?? true;
    const options = { theta: 10_000, factor: headDim / whole, interleaved };
    const read = rotaryConfig(options).read(json, { headDim: whole, maxPositionEmbeddings });
    if (read.rotaryDim !== headDim)
      json.problem(
        `partial_rotary_factor must be qk_rope_head_dim's share of a head (${headDim} of ${whole}), found ${read.rotaryDim}`,
      );
    return { ...read, headDim, rotaryDim: headDim };
  },
};

/** Defaults of transformers 5.24, Mistral4Config. */
const MISTRAL4_CONFIG = defineConfig({
  fields: {
    ...deepseek({
      qLoraRank: 1024,
      kvLoraRank: 256,
      qkNopeHeadDim: 64,
      qkRopeHeadDim: 64,
      vHeadDim: 128,
      experts: { numExperts: 128, numExpertsPerToken: 4, moeIntermediateSize: 2048, normTopkProb: true },
      sharedExperts: 1,
      firstDenseLayers: 0,
      routedScalingFactor: 1,
      mlpBias: false,
    }),
    headDim: field('qk_rope_head_dim', HEAD_SIZE, 64),
    wholeHead,
    scoring: constant('softmax' as const),
    sumGuard: constant({ added: 1e-20 }),
    expertGroups: expertGroups({ count: 1, kept: 1, scored: 2 }),
    hasRope: statedRope('Mistral4Config'),
    rope,
    queryScale,
  },
  irrelevant: { 'rope_parameters.max_position_embeddings': 'says again what stands outside' },
});
type Mistral4Config = ConfigOf<typeof MISTRAL4_CONFIG>;

/** Mistral Small 4: DeepSeek's latent attention with queries that grow, and experts chosen by softmax. */
export class FlashMistral4ForCausalLMATB extends FlashDeepseekForCausalLMATB<Mistral4Config> {
  override readonly name = 'mistral4';
}

export const Mistral4Router = routerOf(MISTRAL4_CONFIG, FlashMistral4ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as deepseek_v2', 'YaRN', 'queries that grow with positions'],
    reference: 'transformers',
  },
});
registerModel('mistral4', Mistral4Router);
