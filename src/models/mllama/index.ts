import { BaseRMSNorm } from '../../layers/norms/norms.js';
import type { Insert } from '../../media/index.js';
import { registerModel, routerOf, type ShownCaches } from '../../router/index.js';
import { type StepInput, shownMask, shownRows } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashWithEncoderATB } from '../base/flash-with-encoder-atb.js';
import { LlamaLayer } from '../llama/index.js';
import { MLLAMA_CONFIG, type MllamaConfig, patchesOfTile, rowsOfPicture } from './config.js';
import { CrossAttentionLayer, shownCache } from './cross-layer.js';
import { MllamaProcessor } from './processor.js';
import { MllamaTower } from './tower.js';

const HEAD_NAMES = { embedding: 'language_model.model.embed_tokens', head: 'language_model.lm_head' };

/** Llama 3.2 Vision: some layers of text attend to a picture in place of words (arXiv:2407.21783, section 7). */
export class FlashMllamaForCausalLMATB extends FlashWithEncoderATB<MllamaConfig> {
  readonly name = 'mllama';
  protected readonly model: BaseModelATB;
  protected readonly encoderModule: MllamaTower;

  constructor(config: MllamaConfig, weights: Weights) {
    super(config, weights, { names: HEAD_NAMES });
    const { hiddenSize, rmsNormEps, crossLayers, embeddingRows } = config;
    const text = weights.at('language_model.model');
    this.model = new BaseModelATB({ ...config, vocabSize: embeddingRows }, text, {
      layer: (layerId, at) =>
        crossLayers.includes(layerId)
          ? new CrossAttentionLayer(layerId, config, at)
          : new LlamaLayer(layerId, config, at),
      norm: new BaseRMSNorm(text.at('norm'), hiddenSize, rmsNormEps),
    });
    this.encoderModule = new MllamaTower(config, weights, text.at('layers'));
  }

  override shown(): ShownCaches {
    const caches = this.config.crossLayers.map((layerId) => shownCache(layerId, this.config).cache);
    return { caches, rows: rowsOfPicture(this.config.vision) };
  }

  protected override get decoderInputs(): readonly StepInput[] {
    const { vision } = this.config;
    const all = rowsOfPicture(vision);
    const each = patchesOfTile(vision) + 1;
    const countsOf = ({ input: { shape } }: Insert) => ({ filled: shape[0] * each, all });
    return [...super.decoderInputs, shownRows(all, countsOf), shownMask(all, countsOf)];
  }
}

export const MllamaRouter = routerOf(MLLAMA_CONFIG, FlashMllamaForCausalLMATB, {
  headNames: HEAD_NAMES,
  mediaProcessor: (folder, config) => MllamaProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: ['a picture as tiles of a canvas', 'layers of text that attend to it in place of words'],
    reference: 'transformers',
  },
});
registerModel('mllama', MllamaRouter);
