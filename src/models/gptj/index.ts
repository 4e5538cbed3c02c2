import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  activation,
  biases,
  bothSpellings,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  fullAttention,
  integer,
  mlpWidth,
  multiHeadAttention,
  only,
  positive,
  type RotarySizes,
  rotaryConfig,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import { ParallelLayer } from '../../layers/decoder/decoder-layers.js';
import type { QkvNames } from '../../layers/linear/projections.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** Neighbouring elements turn together, `rotary_dim` of each head. */
const rope = ({ keepsF32 }: { readonly keepsF32: boolean }): Field<RopeConfig, RotarySizes> => ({
  read(json, config) {
    const whole = rotaryConfig({ theta: 10_000, interleaved: true, keepsF32 }).read(json, config);
    const named = json.value('rotary_dim', integer(2, config.headDim));
    const rotaryDim = named ?? 64;
    if (rotaryDim > config.headDim)
      json.problem(`rotary_dim is missing, and 64 are more than a head has (${config.headDim})`);
    if (rotaryDim % 2 !== 0) json.problem(`rotary_dim must be even, found ${rotaryDim}`);
    return { ...whole, rotaryDim };
  },
});

/** What GPT-J and CodeGen call things. Defaults of transformers 5.24, GPTJConfig and CodeGenConfig. */
export const gptjFields = (rotary: { readonly keepsF32: boolean }) => ({
  ...textModel({ tieWordEmbeddings: false }),
  // The head has a bias of its own, and so is never the embedding.
  tieWordEmbeddings: field('tie_word_embeddings', only(false), false),
  ...multiHeadAttention,
  ...bothSpellings,
  maxPositionEmbeddings: field(['n_positions', 'max_position_embeddings'], WIDTH, 2048),
  intermediateSize: mlpWidth('n_inner'),
  hiddenAct: activation('activation_function', 'gelu_tanh'),
  ...biases({ qkv: false, dense: false, mlp: true }),
  layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
  rope: rope(rotary),
  slidingWindows: fullAttention,
  isRotary: field('rotary', only(true), true),
  scalesScores: field('scale_attn_weights', only(true), true),
});

const GPTJ_CONFIG = defineConfig({ fields: gptjFields({ keepsF32: false }) });
export type GptJConfig = ConfigOf<typeof GPTJ_CONFIG>;
export const GPTJ_HEAD: HeadNames = { embedding: 'transformer.wte', head: 'lm_head' };

/** Attention and MLP read the same normed input; the head has a bias. */
export class FlashGptJForCausalLMATB extends FlashForCausalLMATB<GptJConfig> {
  readonly name: string = 'gptj';
  protected readonly model: BaseModelATB;

  /** `qkv`: the checkpoint's names of the projections where they are others. */
  constructor(config: GptJConfig, weights: Weights, qkv?: QkvNames) {
    super(config, weights, { names: GPTJ_HEAD, hasBias: true });
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps);
    const inner = weights.at('transformer');
    this.model = new BaseModelATB(config, inner, {
      layer: (layerId, at) =>
        new ParallelLayer(layerId, at, {
          inputLayernorm: norm(at.at('ln_1')),
          selfAttn: new RotaryAttention(layerId, config, at.at('attn'), {
            ...(qkv && { qkv }),
            dense: 'out_proj',
          }),
          mlp: new UngatedMLP(config, at.at('mlp'), { names: { up: 'fc_in', down: 'fc_out' } }),
        }),
      norm: norm(inner.at('ln_f')),
      names: { embedding: 'wte', layers: 'h' },
    });
  }
}

// Causal masks, which older files hold.
export const GptJRouter = routerOf(GPTJ_CONFIG, FlashGptJForCausalLMATB, {
  headNames: GPTJ_HEAD,
  harmlessTensors: [/\.attn\.(masked_)?bias$/],
  about: {
    kind: 'positions',
    features: ['parallel steps', 'partial interleaved rotary', 'MLP without a gate'],
    reference: 'transformers',
  },
});
registerModel('gptj', GptJRouter);
