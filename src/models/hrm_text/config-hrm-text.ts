import {
  biases,
  type ConfigOf,
  type ConfigReader,
  decoder,
  defineConfig,
  type Field,
  field,
  fullAttention,
  integer,
  LLAMA_DEFAULTS,
  multiHeadAttention,
  only,
  positive,
} from '../../layers/config/index.js';

const COUNT = integer(1, 1000);

/** How often each of the two stacks of layers is passed, and how many layers it has. */
const stacksOf = (json: ConfigReader) => ({
  highCycles: field('H_cycles', COUNT, 2).read(json, {}),
  lowCycles: field('L_cycles', COUNT, 3).read(json, {}),
  stackLayers: json.value('num_layers_per_stack', COUNT),
});

/**
 * Layers as caches count them: those of a stack once for each time that it is passed. Where a file has
 * `num_layers_per_stack`, as transformers writes it, `num_hidden_layers` is that number; else it is that of one stack.
 */
const numHiddenLayers: Field<number> = {
  read(json) {
    const { highCycles, lowCycles, stackLayers } = stacksOf(json);
    const found = json.value('num_hidden_layers', COUNT) ?? json.missing('num_hidden_layers');
    const passed = (stackLayers ?? found) * highCycles * (lowCycles + 1);
    if (stackLayers !== undefined && found !== passed)
      json.problem(
        `num_hidden_layers must be num_layers_per_stack * H_cycles * (L_cycles + 1) (${passed}), found ${found}`,
      );
    return passed;
  },
};

const cycles = (of: 'highCycles' | 'lowCycles'): Field<number> => ({ read: (json) => stacksOf(json)[of] });

/** The inverse of the deviation of new weights where the file does not say it. */
const embeddingScale: Field<number> = {
  read(json) {
    const deviation = field('initializer_range', positive(1), 0.02).read(json, {});
    return json.value('embedding_scale', positive(1e6)) ?? 1 / deviation;
  },
};

/** Defaults of transformers 5.24, HrmTextConfig. */
export const HRM_TEXT_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, headDim: 128 }),
    ...biases({ qkv: false, dense: false, mlp: false }),
    numKeyValueHeads: multiHeadAttention.numKeyValueHeads,
    numHiddenLayers,
    highCycles: cycles('highCycles'),
    lowCycles: cycles('lowCycles'),
    embeddingScale,
    // Files pack projections in a way that has no place for biases.
    attentionBias: field('attention_bias', only(false), false),
    mlpHasBias: field('mlp_bias', only(false), false),
    slidingWindows: fullAttention,
  },
  irrelevant: {
    prefix_lm: 'counts where a call marks tokens that see each other, which no text alone does',
    L_bp_cycles: 'says how far training goes back',
  },
});
export type HrmTextConfig = ConfigOf<typeof HRM_TEXT_CONFIG>;
