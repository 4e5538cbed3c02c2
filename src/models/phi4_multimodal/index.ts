import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashWithEncoderATB } from '../base/flash-with-encoder-atb.js';
import { InsertingModelATB, insertInputs } from '../base/inserting-text-atb.js';
import { layersBehind } from '../base/vision/index.js';
import { LlamaLayer, LlamaModelATB } from '../llama/index.js';
import { adapterInputs, PhiAttention, PhiMLP } from './adapters.js';
import { PHI4_CONFIG, type Phi4Config } from './config.js';
import { phi4Processor } from './processor.js';
import { PhiSoundTower } from './sound-tower.js';
import { withPublishedNames } from './stored-names.js';
import { phiVisionTower } from './vision-tower.js';

export * from './config.js';

const EMBEDDERS = 'embed_tokens_extend';

/** Phi-4 that sees and hears, with adapters for prompts that show pictures, and for those with sound alone (arXiv:2503.01743). */
export class FlashPhi4multimodalForCausalLMATB extends FlashWithEncoderATB<Phi4Config> {
  readonly name = 'phi4_multimodal';
  override readonly graphKinds: readonly GraphKind[] = [...DECODER_KINDS, ENCODE, ENCODE_SECOND];
  protected readonly model: InsertingModelATB;
  protected readonly encoderModule: ReturnType<typeof phiVisionTower>;
  protected override readonly secondModule: PhiSoundTower;

  constructor(config: Phi4Config, given: Weights) {
    const weights = withPublishedNames(given);
    super(config, weights);
    const inner = weights.at('model');
    const layer = (layerId: number, at: Weights): LlamaLayer =>
      new LlamaLayer(layerId, config, at, {
        selfAttn: new PhiAttention(layerId, config, at.at('self_attn')),
        mlp: new PhiMLP(config, at.at('mlp')),
      });
    this.model = new InsertingModelATB(new LlamaModelATB(config, inner, layer));
    this.encoderModule = phiVisionTower(config, inner.at(`${EMBEDDERS}.image_embed`));
    this.secondModule = new PhiSoundTower(config, inner.at(`${EMBEDDERS}.audio_embed`));
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, ...insertInputs(this.config), ...adapterInputs(this.config)];
  }
}

export const Phi4multimodalRouter = routerOf(PHI4_CONFIG, FlashPhi4multimodalForCausalLMATB, {
  // What stands behind the layer whose rows are taken.
  harmlessTensors: ({ vision: { numLayers }, usedLayers }) => [
    /\.img_processor\.(post_layernorm|head)\./,
    ...layersBehind(`model.${EMBEDDERS}.image_embed.img_processor.encoder.layers`, usedLayers, numLayers),
  ],
  mediaProcessor: phi4Processor,
  about: {
    kind: 'media',
    features: [
      'pictures on tiles, line by line, and the whole',
      'sound of up to 40 minutes',
      'adapters for prompts with pictures, and for those with sound alone',
      'text of phi3',
    ],
    reference: 'transformers',
  },
});
registerModel('phi4_multimodal', Phi4multimodalRouter);
