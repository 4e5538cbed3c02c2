import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import type { DeltaNetConfig, DeltaNetParts } from '../../layers/recurrent/gated-delta-net.js';
import { registerModel, routerOf } from '../../router/index.js';
import { rowsInGroups } from '../../weights/row-orders.js';
import type { Weights } from '../../weights/weights.js';
import type { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GatedSharedExpert } from '../qwen2_moe/index.js';
import { QWEN3_NEXT_CONFIG, type Qwen3NextConfig } from './config-qwen3-next.js';
import { hybridModel } from './modeling-qwen3-next.js';

export * from './config-qwen3-next.js';
export * from './modeling-qwen3-next.js';

/** Two tensors, which hold what belongs to each key head side by side. */
function groupedParts({ keyHeads, valueHeads, keySize, valueSize }: DeltaNetConfig): DeltaNetParts {
  const shared = valueHeads / keyHeads;
  const parts = (name: string, sizes: readonly number[]) =>
    rowsInGroups(keyHeads, sizes).map((rows, at) => ({
      name,
      rows,
      outFeatures: keyHeads * (sizes[at] as number),
    })) as unknown as DeltaNetParts['qkvz'];
  const values = shared * valueSize;
  return {
    qkvz: parts('in_proj_qkvz', [keySize, keySize, values, values]),
    gates: parts('in_proj_ba', [shared, shared]),
  };
}

/** Layers that guess further tokens. They change none that is generated without them. */
export const GUESSING_LAYERS = [/^mtp\./];

/** What experts, and one that all tokens share, are told. */
export type SharedSparseConfig = ConstructorParameters<typeof Experts>[0] &
  ConstructorParameters<typeof GatedSharedExpert>[0] & { readonly normTopkProb: boolean };

export const sharedSparseMLP = (config: SharedSparseConfig, weights: Weights): SparseMLP =>
  new SparseMLP({
    router: new ExpertRouter({ ...config, scoring: 'softmax' }, weights),
    experts: new Experts(config, weights.at('experts')),
    shared: new GatedSharedExpert(config, weights),
  });

/** Qwen3-Next: three layers of linear attention to each one of gated attention, and experts behind all of them. */
export class FlashQwen3NextForCausalLMATB extends FlashForCausalLMATB<Qwen3NextConfig> {
  readonly name = 'qwen3_next';
  protected readonly model: BaseModelATB;

  constructor(config: Qwen3NextConfig, weights: Weights) {
    super(config, weights);
    this.model = hybridModel(config, weights.at('model'), {
      deltaNet: groupedParts(config),
      mlp: (layerId, at) =>
        config.sparseLayers[layerId] ? sharedSparseMLP(config, at) : new BaseMLP(config, at),
    });
  }
}

export const Qwen3NextRouter = routerOf(QWEN3_NEXT_CONFIG, FlashQwen3NextForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['gated delta rule', 'gated attention', 'norms of q and k', 'a gated shared expert'],
    reference: 'transformers',
  },
  harmlessTensors: GUESSING_LAYERS,
});
registerModel('qwen3_next', Qwen3NextRouter);
