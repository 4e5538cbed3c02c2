import {
  biases,
  decoder,
  defineConfig,
  LLAMA_DEFAULTS,
  required,
  slidingByLayer,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashLlamaForCausalLMATB } from '../llama/index.js';

/** Defaults of transformers 5.24, CwmConfig, whose rotary embedding is scaled where config.json has none. */
const CWM_CONFIG = defineConfig({
  fields: {
    ...decoder({
      ...LLAMA_DEFAULTS,
      numKeyValueHeads: 8,
      headDim: 128,
      rmsNormEps: 1e-5,
      ropeTheta: required,
    }),
    ...biases({ qkv: false, dense: false, mlp: 'mlp_bias' }),
    slidingWindows: slidingByLayer({ window: 8192, slides: (layer) => layer % 4 !== 0 }),
  },
});

/** Llama with windows in three of four layers. */
export class FlashCwmForCausalLMATB extends FlashLlamaForCausalLMATB {
  override readonly name = 'cwm';
}

export const CwmRouter = routerOf(CWM_CONFIG, FlashCwmForCausalLMATB, {
  about: { kind: 'llama', features: ['windows by layer'], reference: 'transformers' },
});
registerModel('cwm', CwmRouter);
