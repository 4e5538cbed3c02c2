import type { AtbGraph } from '../../graph/atb-graph.js';
import { LearnedRotary } from '../../layers/attention/learned-rotary.js';
import {
  LendingLatentAttention,
  type LendingLatentNames,
  lendingLatentVariant,
} from '../../layers/attention/lending-latent-attention.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP, sharedMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { learnedRotary, positionLogs, positions, type StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { MISTRAL_LARGE4_CONFIG, type MistralLarge4Config } from './config.js';

/** What files call embedding and head. */
const HEAD_NAMES = { embedding: 'tok_embeddings', head: 'output' };
const MLP_NAMES = { gate: 'w1', up: 'w3', down: 'w2' };
const ATTENTION_NAMES: LendingLatentNames = {
  ...{ queries: 'wq', down: 'wkv_a_with_mqa', norm: 'kv_a_norm', up: 'wkv_b', dense: 'wo' },
  ...{ growth: 'ssmax_scaling', indexerNorm: 'q_input_norm' },
};

/** `weights` is the cursor of a layer. */
const sparseMLP = (config: MistralLarge4Config, weights: Weights): SparseMLP =>
  new SparseMLP({
    router: new ExpertRouter(config, weights),
    experts: new Experts(config, weights.at('experts'), MLP_NAMES),
    shared: sharedMLP(config, weights.at('shared_experts'), { names: MLP_NAMES }),
  });

/** Layers that do not all turn, whose rotary embedding is learned. */
class MistralLarge4ModelATB extends BaseModelATB {
  readonly rotary: LearnedRotary | undefined;

  constructor(config: MistralLarge4Config, weights: Weights) {
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    super(config, weights, {
      names: { embedding: HEAD_NAMES.embedding, layers: 'layers' },
      layer(layerId, at) {
        const isSparse = config.sparseLayers[layerId];
        const parts = {
          inputLayernorm: norm(at.at('attention_norm')),
          selfAttn: new LendingLatentAttention(layerId, config, at.at('attention'), ATTENTION_NAMES),
          postAttentionLayernorm: norm(at.at('ffn_norm')),
          mlp: isSparse
            ? sparseMLP(config, at)
            : new BaseMLP(config, at.at('feed_forward'), { names: MLP_NAMES }),
        };
        const variant = [isSparse ? '' : 'dense', ...lendingLatentVariant(config, layerId)];
        return new PreNormLayer(layerId, at, parts, variant.filter((part) => part !== '').join('_'));
      },
      norm: norm(weights.at('norm')),
    });
    // Rows that no layer reads have no place in a graph.
    if (config.rotaryLayers.includes(true))
      this.rotary = new LearnedRotary(config.rope, weights.at('lerope'));
  }

  override buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    this.rotary?.buildGraph(graph);
  }
}

/** The text of a Mistral Large 4 that could see: latent attention to chosen keys, some of them of earlier layers. */
export class FlashMistralLarge4ForCausalLMATB extends FlashForCausalLMATB<MistralLarge4Config> {
  readonly name = 'mistral_large4';
  protected readonly model: MistralLarge4ModelATB;

  constructor(config: MistralLarge4Config, weights: Weights) {
    super(config, weights, { names: HEAD_NAMES, softcap: config.logitSoftcap });
    this.model = new MistralLarge4ModelATB(config, weights);
  }

  /** There are no tables of cosines and sines. */
  override get stepInputs(): readonly StepInput[] {
    const others = super.stepInputs.filter(({ names }) => !names.includes('position_ids'));
    return [...others, positions, learnedRotary(this.config.rope), positionLogs];
  }
}

export const MistralLarge4Router = routerOf(MISTRAL_LARGE4_CONFIG, FlashMistralLarge4ForCausalLMATB, {
  headNames: HEAD_NAMES,
  // What sees, which is not built; layers that guess further tokens.
  harmlessTensors: [
    /^(vision_encoder|pre_mm_projector_norm|patch_merger|vision_language_adapter|mtp_dspark)\./,
  ],
  about: {
    kind: 'experts',
    features: [
      ...['latent attention to chosen keys', 'queries that grow with positions', 'learned rotary embedding'],
      ...['layers without rotary', 'latent vectors of earlier layers', 'no pictures'],
    ],
    reference: 'transformers',
  },
});
registerModel('mistral_large4', MistralLarge4Router);
