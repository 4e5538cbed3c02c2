import {
  indexerVariant,
  type SparseAttentionConfig,
  SparseLatentAttention,
} from '../../layers/attention/sparse-latent-attention.js';
import {
  type ConfigOf,
  constant,
  defineConfig,
  field,
  indexer,
  listOf,
  only,
  ownIndexers,
  rotaryConfig,
  SIZE,
  sparseByType,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  DEEPSEEK_IRRELEVANT,
  type DeepseekConfig,
  FlashDeepseekForCausalLMATB,
} from '../deepseek_v2/index.js';
import { deepseekV3, SIGMOID } from '../deepseek_v3/index.js';

/** What families of latent attention to chosen keys say alike beside `deepseek`. */
export const sparseDeepseek = (qLoraRank: number) => ({
  // The indexer's queries are made of the vector that attention's are made of.
  qLoraRank: field('q_lora_rank', SIZE, qLoraRank),
  sparseLayers: sparseByType({ dense: 3 }),
  layerTypes: field('layer_types', listOf(only('indexed_attention'), '"indexed_attention"'), undefined),
  scoring: SIGMOID,
  sumGuard: constant({ added: 1e-20 }),
  choice: field('topk_method', only('noaux_tc'), 'noaux_tc'),
  pairs: field('rope_interleave', only(true), true),
  rope: rotaryConfig({ theta: 10_000, interleaved: true }),
});

/** Defaults of transformers 5.24, DeepseekV32Config: those of DeepseekV3Config, and the indexer's. */
const DEEPSEEK_V32_CONFIG = defineConfig({
  fields: {
    ...deepseekV3,
    ...sparseDeepseek(1536),
    ...indexer({ heads: 64, interleaved: false }),
    indexOwners: ownIndexers,
  },
  irrelevant: DEEPSEEK_IRRELEVANT,
});
type DeepseekV32Config = ConfigOf<typeof DEEPSEEK_V32_CONFIG>;

/** DeepSeek-V3 whose queries attend to chosen keys alone (DeepSeek Sparse Attention, arXiv:2512.02556, section 2.1). */
export abstract class FlashSparseDeepseekATB<
  C extends DeepseekConfig & SparseAttentionConfig,
> extends FlashDeepseekForCausalLMATB<C> {
  constructor(config: C, weights: Weights) {
    const names = { gate: 'gate.weight', correction: 'gate.e_score_correction_bias' };
    super(config, weights, names, {
      selfAttn: (layerId, at) => new SparseLatentAttention(layerId, config, at),
      variant: (layerId) => indexerVariant(config, layerId),
    });
  }
}

export class FlashDeepseekV32ForCausalLMATB extends FlashSparseDeepseekATB<DeepseekV32Config> {
  override readonly name = 'deepseek_v32';
}

export const DeepseekV32Router = routerOf(DEEPSEEK_V32_CONFIG, FlashDeepseekV32ForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as deepseek_v3', 'attention to chosen keys'],
    reference: 'transformers',
  },
});
registerModel('deepseek_v32', DeepseekV32Router);
