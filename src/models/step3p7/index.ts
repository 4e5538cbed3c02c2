import { registerModel, routerOf } from '../../router/index.js';
import type { StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import type { BaseModelATB } from '../base/base-model-atb.js';
import { FlashWithEncoderATB } from '../base/flash-with-encoder-atb.js';
import { InsertingModelATB, insertInputs } from '../base/inserting-text-atb.js';
import { FlashStep3p5ForCausalLMATB } from '../step3p5/index.js';
import { STEP3P7_CONFIG, type Step3p7Config } from './config.js';
import { Step3p7Processor } from './processor.js';
import { Step3p7Tower } from './vision-tower.js';

/** The text of a Step 3.7 whose file says nothing of an encoder. */
export class FlashStep3p7TextForCausalLMATB extends FlashStep3p5ForCausalLMATB {
  override readonly name: string = 'step3p7';
}

/** Step 3.7: tensors of its text have the names that they have without eyes. */
export class FlashStep3p7ForCausalLMATB extends FlashWithEncoderATB<Step3p7Config> {
  readonly name = 'step3p7';
  protected readonly model: InsertingModelATB;
  protected readonly encoderModule: Step3p7Tower;

  constructor(config: Step3p7Config, weights: Weights) {
    super(config, weights);
    const { vision, hiddenSize: outFeatures, projectorBias: hasBias } = config;
    if (!vision) throw new TypeError('a model without an encoder is text alone');
    this.model = new InsertingModelATB(new FlashStep3p5ForCausalLMATB(config, weights).body as BaseModelATB);
    this.encoderModule = new Step3p7Tower(vision, weights, { outFeatures, hasBias });
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, ...insertInputs(this.config)];
  }
}

export const Step3p7Router = routerOf(STEP3P7_CONFIG, FlashStep3p7ForCausalLMATB, {
  modelOf: ({ vision_config: vision }) => (vision ? undefined : FlashStep3p7TextForCausalLMATB),
  harmlessTensors: ({ vision }) =>
    vision ? [] : [/^(model\.)?vision_model\./, /^vit_large_projector\./, /^model\.multi_modal_projector\./],
  mediaProcessor: async (folder, config, encode) =>
    config.vision && Step3p7Processor.load(folder, config, config.vision, encode),
  about: {
    kind: 'media',
    features: ['pictures as the whole and as squares', 'convolutions behind an encoder', 'text of step3p5'],
    reference: 'transformers',
  },
});
registerModel('step3p7', Step3p7Router);
