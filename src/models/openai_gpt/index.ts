import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  bothSpellings,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  fullAttention,
  keysBecause,
  learnedPositions,
  multiHeadAttention,
  oneOf,
  positive,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { LearnedPositionModelATB } from '../base/learned-position-model-atb.js';
import { CAUSAL_MASKS } from '../gpt2/index.js';

/** Its "gelu" is the approximation. */
const ACTIVATIONS = { relu: 'relu', silu: 'silu', swish: 'silu', gelu: 'gelu_tanh' } as const;
type ActivationName = keyof typeof ACTIVATIONS;
const NAME = field<ActivationName>('afn', oneOf('relu', 'silu', 'swish', 'gelu'), 'gelu');
const hiddenAct: Field<(typeof ACTIVATIONS)[ActivationName]> = {
  read: (json) => ACTIVATIONS[NAME.read(json, {})],
};

/** The MLP has this width whatever config.json says. */
const intermediateSize: Field<number, { readonly hiddenSize: number }> = {
  read: (_, { hiddenSize }) => 4 * hiddenSize,
};

/** Defaults of transformers 5.24, OpenAIGPTConfig. */
const OPENAI_GPT_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...multiHeadAttention,
    ...bothSpellings,
    maxPositionEmbeddings: field(['n_positions', 'max_position_embeddings'], WIDTH, 512),
    learnedPositions,
    intermediateSize,
    hiddenAct,
    layerNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
    ...biases({ qkv: true, dense: true, mlp: true }),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    n_ctx: 'n_positions is what the table of positions has',
    ...keysBecause(
      'says how another program trains or looks words up',
      'n_special',
      'predict_special_tokens',
    ),
  },
});
type OpenAiGptConfig = ConfigOf<typeof OPENAI_GPT_CONFIG>;
const HEAD: HeadNames = { embedding: 'transformer.tokens_embed', head: 'lm_head' };

/** The first GPT: norms of sums, and none behind the last layer (Radford et al. 2018, section 4.1). */
export class FlashOpenAiGptForCausalLMATB extends FlashForCausalLMATB<OpenAiGptConfig> {
  readonly name = 'openai_gpt';
  protected readonly model: LearnedPositionModelATB;

  constructor(config: OpenAiGptConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, config.layerNormEps);
    const transposed = true;
    this.model = new LearnedPositionModelATB(config, weights.at('transformer'), {
      layer: (layerId, at) =>
        new PostNormLayer(layerId, at, {
          selfAttn: new PositionFreeAttention(layerId, config, at.at('attn'), {
            qkv: { packed: 'c_attn', order: 'blocks' },
            dense: 'c_proj',
            transposed,
          }),
          inputLayernorm: norm(at.at('ln_1')),
          mlp: new UngatedMLP(config, at.at('mlp'), { names: { up: 'c_fc', down: 'c_proj' }, transposed }),
          postAttentionLayernorm: norm(at.at('ln_2')),
        }),
      norm: new NoNorm(),
      names: { embedding: 'tokens_embed', layers: 'h' },
      positions: { name: 'positions_embed' },
    });
  }
}

export const OpenAiGptRouter = routerOf(OPENAI_GPT_CONFIG, FlashOpenAiGptForCausalLMATB, {
  harmlessTensors: CAUSAL_MASKS,
  headNames: HEAD,
  about: {
    kind: 'positions',
    features: ['learned positions', 'norms of sums', 'MLP without a gate'],
    reference: 'transformers',
  },
});
registerModel('openai-gpt', OpenAiGptRouter);
