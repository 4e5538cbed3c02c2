import { type ConfigOf, defineConfig } from '../../layers/config/index.js';
import type { DeltaNetConfig, DeltaNetParts } from '../../layers/gated-delta-net.js';
import { BaseMLP } from '../../layers/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { axesTakeTurns, sectionsOr } from '../base/vision/index.js';
import { hybridExperts, hybridFields, Qwen3NextModelATB, sharedSparseMLP } from '../qwen3_next/index.js';

/** A tensor for each projection. */
export const deltaNetParts = ({
  keyHeads,
  valueHeads,
  keySize,
  valueSize,
}: DeltaNetConfig): DeltaNetParts => {
  const values = valueHeads * valueSize;
  return {
    qkvz: [
      { name: 'in_proj_qkv', outFeatures: 2 * keyHeads * keySize + values },
      { name: 'in_proj_z', outFeatures: values },
    ],
    gates: [
      { name: 'in_proj_b', outFeatures: valueHeads },
      { name: 'in_proj_a', outFeatures: valueHeads },
    ],
  };
};

/** Positions of three axes, which are one where all is text. */
export const qwen35Axes = { sections: sectionsOr([11, 11, 10]), isInterleaved: axesTakeTurns };

/** Defaults of transformers 5.24, Qwen3_5TextConfig. */
const QWEN3_5_CONFIG = defineConfig({ fields: { ...hybridFields(4), ...qwen35Axes } });
type Qwen35Config = ConfigOf<typeof QWEN3_5_CONFIG>;

/** The text model of Qwen3.5: Qwen3-Next without experts, its projections in tensors of their own. */
export class FlashQwen35ForCausalLMATB extends FlashForCausalLMATB<Qwen35Config> {
  readonly name = 'qwen3_5';
  protected readonly model: Qwen3NextModelATB;

  constructor(config: Qwen35Config, weights: Weights) {
    super(config, weights);
    this.model = new Qwen3NextModelATB(config, weights.at('model'), {
      deltaNet: deltaNetParts(config),
      mlp: (_, at) => new BaseMLP(config, at),
    });
  }
}

export const Qwen35Router = routerOf(QWEN3_5_CONFIG, FlashQwen35ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['gated delta rule', 'gated attention', 'norms of q and k'],
    reference: 'transformers',
  },
});
registerModel('qwen3_5_text', Qwen35Router);
