import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  firstRope,
  LLAMA_DEFAULTS,
  layerRopes,
  slidingByLayer,
} from '../../layers/config/index.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { GRANITE_FIELDS } from '../granite/index.js';
import { FlashGraniteWithWindowsATB } from './modeling-granite-swa-atb.js';

export * from './modeling-granite-swa-atb.js';

/** Windows in three of four layers, and rotary bases by layer; what GraniteSWAConfig and GraniteMoeSWAConfig add. */
export const GRANITE_WINDOWS = {
  layerRopes: layerRopes(10_000),
  rope: firstRope,
  slidingWindows: slidingByLayer({ window: 128, slides: (layer) => layer % 4 !== 0 }),
};

/** Defaults of transformers 5.24, GraniteSWAConfig. */
const GRANITE_SWA_CONFIG = defineConfig({
  fields: {
    ...GRANITE_FIELDS,
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, rmsNormEps: 1e-5, tieWordEmbeddings: true }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    ...GRANITE_WINDOWS,
  },
});
type Config = ConfigOf<typeof GRANITE_SWA_CONFIG>;

/** Granite with windows and sinks. */
export class FlashGraniteSWAForCausalLMATB extends FlashGraniteWithWindowsATB<Config> {
  readonly name = 'granite_swa';

  constructor(config: Config, weights: Weights) {
    const { residualMultiplier: outputScale } = config;
    super(config, weights, (at) => new BaseMLP(config, at.at('mlp'), { outputScale }));
  }
}

export const GraniteSWARouter = routerOf(GRANITE_SWA_CONFIG, FlashGraniteSWAForCausalLMATB, {
  about: {
    kind: 'llama',
    features: ['as granite', 'sinks', 'windows by layer', 'rotary bases by layer'],
    reference: 'transformers',
  },
});
registerModel('granite_swa', GraniteSWARouter);
