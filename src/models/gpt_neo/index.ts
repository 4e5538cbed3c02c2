import {
  biases,
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  HEADS,
  integer,
  keysBecause,
  LAYERS,
  LENGTH,
  listOf,
  mlpWidth,
  oneOf,
  required,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashGpt2LikeATB, GPT2_HEAD, gpt2Fields } from '../gpt2/index.js';

const COUNT = integer(1, 1000);

/** What `attention_types` says layer by layer, as [[["global", "local"], 6]]; undefined where it says something else. */
const typesOf = (pattern: unknown): readonly unknown[] =>
  (Array.isArray(pattern) ? pattern : [pattern]).flatMap((entry) => {
    const [types, count] = Array.isArray(entry) ? entry : [];
    const times = COUNT.safeParse(count);
    return times.success ? Array.from({ length: times.data }, () => types).flat() : [undefined];
  });

/** Windows of `window_size` in layers of type "local". */
const slidingWindows: Field<readonly (number | undefined)[], { readonly numHiddenLayers: number }> = {
  read(json, { numHiddenLayers: layers }) {
    const window = field('window_size', LENGTH, 256).read(json, {});
    const pattern = json.raw('attention_types') ?? [[['global', 'local'], 12]];
    const check = listOf(
      oneOf('global', 'local'),
      'lists of "global" and "local", each with how often it comes',
    );
    const types = json.check('attention_types', typesOf(pattern), check) ?? [];
    if (types.length !== layers) {
      json.problem(
        `attention_types must have one entry for each of the ${layers} layers, found ${types.length}`,
      );
    }
    return types.map((type) => (type === 'local' ? window : undefined));
  },
};

/** Defaults of transformers 5.24, GPTNeoConfig. */
const GPT_NEO_CONFIG = defineConfig({
  fields: {
    ...gpt2Fields({ activation: 'gelu_tanh' }),
    numHiddenLayers: field(['num_hidden_layers', 'num_layers'], LAYERS, required),
    numAttentionHeads: field(['num_attention_heads', 'num_heads'], HEADS, required),
    intermediateSize: mlpWidth('intermediate_size'),
    ...biases({ qkv: false, dense: true, mlp: true }),
    slidingWindows,
  },
  irrelevant: {
    attention_layers: 'attention_types says the same',
    ...keysBecause('is used in training alone', 'resid_dropout', 'embed_dropout'),
  },
});
type GptNeoConfig = ConfigOf<typeof GPT_NEO_CONFIG>;

/** GPT-2 with windows in every other layer, whose scores are not scaled. */
export class FlashGptNeoForCausalLMATB extends FlashGpt2LikeATB<GptNeoConfig> {
  readonly name = 'gpt_neo';

  constructor(config: GptNeoConfig, weights: Weights) {
    super(config, weights, (layerId) => ({
      attention: 'attn.attention',
      qkv: { q: 'q_proj', k: 'k_proj', v: 'v_proj' },
      dense: 'out_proj',
      scale: 1,
      variant: slidingVariant(config, layerId),
    }));
  }
}

// Causal masks, which older files hold.
export const GptNeoRouter = routerOf(GPT_NEO_CONFIG, FlashGptNeoForCausalLMATB, {
  harmlessTensors: [/\.attn\.attention\.(masked_)?bias$/],
  headNames: GPT2_HEAD,
  about: {
    kind: 'positions',
    features: ['as gpt2', 'windows by layer', 'unscaled scores'],
    reference: 'transformers',
  },
});
registerModel('gpt_neo', GptNeoRouter);
