import {
  biases,
  type DecoderConfig,
  decoder,
  defineConfig,
  field,
  only,
  slidingByLayer,
} from '../../layers/config/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import { FlashQwen2ForCausalLMATB } from '../qwen2/index.js';

/** MiMo-7B's config.json says all that matters; for the rest, defaults of the Qwen2Config that its own class extends. */
const MIMO_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 32,
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-6,
      ropeTheta: 10_000,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: true, dense: false, mlp: false }),
    hasBiases: field('attention_bias', only(true), true),
    slidingWindows: slidingByLayer({ useSlidingWindow: false, window: 4096, maxWindowLayers: 28 }),
  },
  irrelevant: {
    num_nextn_predict_layers: 'layers that guess further tokens change none that is generated without them',
  },
});

/** Qwen 2 with layers beside it that guess further tokens, which are left out (arXiv:2505.07608). */
export class FlashMimoForCausalLMATB extends FlashQwen2ForCausalLMATB {
  override readonly name = 'mimo';
}

@RegisterRouter('mimo')
export class MimoRouter extends BaseRouter<DecoderConfig> {
  override get about(): ModelAbout {
    return {
      kind: 'llama',
      features: ['biases of q, k and v', 'windows by layer'],
      reference: 'transformers, as qwen2',
    };
  }

  override get harmlessTensors(): readonly RegExp[] {
    return [...super.harmlessTensors, /^model\.mtp_layers\./];
  }

  protected getConfig(): DecoderConfig {
    return MIMO_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashMimoForCausalLMATB {
    return FlashMimoForCausalLMATB;
  }
}
