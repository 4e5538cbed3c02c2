import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import {
  activation,
  biases,
  type ConfigOf,
  constant,
  defineConfig,
  field,
  flag,
  fullAttention,
  integer,
  multiHeadAttention,
  only,
  required,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { type StepInput, sinusoids } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { SinusoidalModelATB } from '../base/sinusoidal-model-atb.js';

/** Defaults of transformers 5.24, XGLMConfig. */
const XGLM_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...multiHeadAttention,
    hiddenSize: field(['d_model', 'hidden_size'], WIDTH, required),
    numHiddenLayers: field(['num_layers', 'num_hidden_layers'], integer(1, 1000), required),
    numAttentionHeads: field(['attention_heads', 'num_attention_heads'], integer(1, 1024), required),
    maxPositionEmbeddings: field('max_position_embeddings', WIDTH, 2048),
    intermediateSize: field('ffn_dim', WIDTH, required),
    hiddenAct: activation('activation_function', 'gelu'),
    ...biases({ qkv: true, dense: true, mlp: true }),
    // XGLMDecoderLayer knows no other.
    layerNormEps: constant(1e-5),
    scalesEmbedding: field('scale_embedding', flag, true),
    attendsToEncoder: field('add_cross_attention', only(false), false),
    slidingWindows: fullAttention,
  },
  irrelevant: { decoder_start_token_id: 'is for models that follow an encoder' },
});
type XglmConfig = ConfigOf<typeof XGLM_CONFIG>;

/** OPT's layers behind scaled embeddings and sinusoids (arXiv:2112.10668). */
export class FlashXglmForCausalLMATB extends FlashForCausalLMATB<XglmConfig> {
  readonly name = 'xglm';
  protected readonly model: SinusoidalModelATB;

  constructor(config: XglmConfig, weights: Weights) {
    super(config, weights);
    const { hiddenSize, layerNormEps, scalesEmbedding } = config;
    const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps);
    const inner = weights.at('model');
    this.model = new SinusoidalModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('self_attn_layer_norm')),
          selfAttn: new PositionFreeAttention(layerId, config, at.at('self_attn'), { dense: 'out_proj' }),
          postAttentionLayernorm: norm(at.at('final_layer_norm')),
          mlp: new UngatedMLP(config, at, { names: { up: 'fc1', down: 'fc2' } }),
        }),
      norm: norm(inner.at('layer_norm')),
      embeddingScale: scalesEmbedding ? Math.sqrt(hiddenSize) : undefined,
    });
  }

  override get stepInputs(): readonly StepInput[] {
    const { hiddenSize, padTokenId: zeroRow } = this.config;
    // The class's table holds zeros for padding.
    return [...super.stepInputs, sinusoids({ hiddenSize, firstRow: 2, zeroRow })];
  }
}

export const XglmRouter = routerOf(XGLM_CONFIG, FlashXglmForCausalLMATB, {
  harmlessTensors: [/\.embed_positions\.weights$/],
  about: {
    kind: 'positions',
    features: ['as opt', 'sinusoids', 'scaled embeddings'],
    reference: 'transformers',
  },
});
registerModel('xglm', XglmRouter);
