import { type ConfigOf, defineConfig } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashGraniteWithWindowsATB, GRANITE_WINDOWS } from '../granite_swa/index.js';
import { GRANITEMOE_FIELDS, graniteMLP, sharedWidth } from '../granitemoe/index.js';

/** Defaults of transformers 5.24, GraniteMoeSWAConfig. */
const GRANITEMOE_SWA_CONFIG = defineConfig({
  fields: { ...GRANITEMOE_FIELDS, sharedWidth: sharedWidth(0), ...GRANITE_WINDOWS },
});
type Config = ConfigOf<typeof GRANITEMOE_SWA_CONFIG>;

/** The same with experts in place of all MLPs, and in some models an MLP that all tokens pass through, too. */
export class FlashGraniteMoeSWAForCausalLMATB extends FlashGraniteWithWindowsATB<Config> {
  readonly name = 'granitemoe_swa';

  constructor(config: Config, weights: Weights) {
    super(config, weights, (at) => graniteMLP(config, at, 'inMemory'));
  }
}

export const GraniteMoeSWARouter = routerOf(GRANITEMOE_SWA_CONFIG, FlashGraniteMoeSWAForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as granite_swa', 'a shared expert'],
    reference: 'transformers',
  },
});
registerModel('granitemoe_swa', GraniteMoeSWARouter);
