import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  slidingByLayer,
} from '../../layers/config/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { Qwen3ModelATB } from './modeling-qwen3-atb.js';

export * from './modeling-qwen3-atb.js';

/** Defaults of transformers 5.24, Qwen3Config. */
const QWEN3_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 32,
      headDim: 128,
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: slidingByLayer({ useSlidingWindow: false, window: 4096, maxWindowLayers: 28 }),
  },
  irrelevant: { mlp_bias: 'Qwen3MLP has no biases' },
});

export class FlashQwen3ForCausalLMATB extends FlashForCausalLMATB {
  readonly name = 'qwen3';
  protected readonly model: Qwen3ModelATB;

  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights);
    this.model = new Qwen3ModelATB(config, weights.at('model'));
  }
}

@RegisterRouter('qwen3')
export class Qwen3Router extends BaseRouter<DecoderConfig> {
  override get about(): ModelAbout {
    return { kind: 'llama', features: ['norms of q and k', 'windows by layer'], reference: 'transformers' };
  }

  protected getConfig(): DecoderConfig {
    return QWEN3_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashQwen3ForCausalLMATB {
    return FlashQwen3ForCausalLMATB;
  }
}
