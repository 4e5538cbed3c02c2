import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { DEEPSEEK_VL_HYBRID_CONFIG, type DeepseekVlHybridConfig } from './config.js';
import { HybridProcessor } from './processor.js';
import { HybridTower } from './vision-tower.js';

const TEXT = 'model.language_model';

/** Llama that sees each picture twice: large by SAM's encoder, and small by SigLIP. */
export class FlashDeepseekVlHybridForCausalLMATB extends FlashInsertingATB<DeepseekVlHybridConfig> {
  readonly name = 'deepseek_vl_hybrid';
  protected readonly encoderModule: HybridTower;

  constructor(config: DeepseekVlHybridConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    this.encoderModule = new HybridTower(config, weights.at('model'));
  }
}

export const DeepseekVlHybridRouter = routerOf(
  DEEPSEEK_VL_HYBRID_CONFIG,
  FlashDeepseekVlHybridForCausalLMATB,
  {
    headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
    harmlessTensors: [/^model\.vision_model\.(vision_model\.)?(head\.|embeddings\.position_ids$)/],
    mediaProcessor: (folder, config) => HybridProcessor.load(folder, config),
    about: {
      kind: 'media',
      features: ["pictures in two squares, by SAM's encoder and by SigLIP", 'text as in llava'],
      reference: 'transformers',
    },
  },
);
registerModel('deepseek_vl_hybrid', DeepseekVlHybridRouter);
