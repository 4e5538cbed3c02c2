import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  field,
  flag,
  fullAttention,
  learnedPositions,
  mlp,
  multiHeadAttention,
  textModel,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LearnedPositionModelATB } from '../base/learned-position-model-atb.js';

/** Defaults of transformers 5.24, BioGptConfig. */
const BIOGPT_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    learnedPositions,
    ...multiHeadAttention,
    ...mlp({ hiddenAct: 'gelu' }),
    ...biases({ qkv: true, dense: true, mlp: true }),
    // BioGptDecoderLayer knows no other.
    layerNormEps: constant(1e-5),
    scalesEmbedding: field('scale_embedding', flag, true),
    slidingWindows: fullAttention,
  },
  irrelevant: { layer_norm_eps: 'BioGptDecoderLayer has an epsilon of its own' },
});
type BioGptConfig = ConfigOf<typeof BIOGPT_CONFIG>;
const HEAD: HeadNames = { embedding: 'biogpt.embed_tokens', head: 'output_projection' };

/** OPT's layers and positions behind scaled embeddings. */
export class FlashBioGptForCausalLMATB extends FlashForCausalLMATB<BioGptConfig> {
  readonly name = 'biogpt';
  protected readonly model: LearnedPositionModelATB;

  constructor(config: BioGptConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const { hiddenSize, layerNormEps, scalesEmbedding } = config;
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps);
    const inner = weights.at('biogpt');
    this.model = new LearnedPositionModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('self_attn_layer_norm')),
          selfAttn: new PositionFreeAttention(layerId, config, at.at('self_attn'), { dense: 'out_proj' }),
          postAttentionLayernorm: norm(at.at('final_layer_norm')),
          mlp: new UngatedMLP(config, at, { names: { up: 'fc1', down: 'fc2' } }),
        }),
      norm: norm(inner.at('layer_norm')),
      embeddingScale: scalesEmbedding ? Math.sqrt(hiddenSize) : undefined,
      positions: { name: 'embed_positions', firstRow: 2 },
    });
  }
}

// The rows of padding, before that of position 0.
export const BioGptRouter = routerOf(BIOGPT_CONFIG, FlashBioGptForCausalLMATB, {
  headNames: HEAD,
  harmlessTensors: [/\.embed_positions\.weight$/],
  about: {
    kind: 'positions',
    features: ['as opt', 'scaled embeddings'],
    reference: 'transformers',
  },
});
registerModel('biogpt', BioGptRouter);
