import { registerModel, routerOf } from '../../router/index.js';
import { renamed, type Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { anyresTower, llavaProjector, squareEncoder } from '../base/llava/index.js';
import { layersBehind, ProjectedTower } from '../base/vision/index.js';
import { chatFormat } from './chat-format.js';
import { LLAVA_LLAMA_CONFIG, type LlavaLlamaConfig } from './config.js';
import { llavaLlamaProcessor } from './processor.js';

export { LLAVA_LLAMA_CONFIG } from './config.js';

const TEXT = 'language_model';
const TOWER = 'model.vision_tower.vision_tower';

/** What published files call what transformers' files have at these places. */
const PLACES: readonly (readonly [RegExp, string])[] = [
  [/^language_model\.model\./, 'model.'],
  [/^language_model\.lm_head\./, 'lm_head.'],
  [/^multi_modal_projector\.linear_1\./, 'model.mm_projector.0.'],
  [/^multi_modal_projector\.linear_2\./, 'model.mm_projector.2.'],
  [/^image_newline$/, 'model.image_newline'],
  [/^vision_tower\./, `${TOWER}.`],
];

/** Of files without the encoder, which LLaVA's first code reads of another checkpoint. */
const APART =
  'the encoder of pictures is in the checkpoint that mm_vision_tower names, not in this folder: take one that has both, ' +
  'as llava-hf/llava-1.5-7b-hf and others that transformers wrote, or LLaVA 1.6';

/** Weights of a published checkpoint by the names of one that transformers writes. */
const asTransformersNames = (weights: Weights): Weights =>
  weights.mapped((source) => {
    const named = renamed(source, (name) =>
      PLACES.reduce((found, [from, to]) => found.replace(from, to), name),
    );
    const remedy = (name: string) => (name.startsWith('vision_tower.') ? APART : named.remedy?.(name));
    return { ...named, remedy };
  });

/** LLaVA under the names of its first code (arXiv:2310.03744). */
export class FlashLlavaLlamaForCausalLMATB extends FlashInsertingATB<LlavaLlamaConfig> {
  readonly name = 'llava_llama';
  protected readonly encoderModule: Encoder;

  constructor(config: LlavaLlamaConfig, weights: Weights) {
    const own = asTransformersNames(weights);
    super(config, own, TEXT);
    this.encoderModule =
      config.aspect === 'anyres'
        ? anyresTower(config, own, false)
        : new ProjectedTower(squareEncoder(config, own), llavaProjector(config, own));
  }
}

export const LlavaLlamaRouter = routerOf(LLAVA_LLAMA_CONFIG, FlashLlavaLlamaForCausalLMATB, {
  // What stands behind the layer whose rows are taken, and what ends lines that are none.
  harmlessTensors: ({ aspect, computedLayers, vision: { numLayers } }) => [
    /^model\.vision_tower\.(.*\.)?(post_layernorm\.|embeddings\.position_ids$)/,
    ...layersBehind('model\\.vision_tower\\.(.*\\.)?encoder\\.layers', computedLayers, numLayers),
    ...(aspect === 'anyres' ? [] : [/^model\.image_newline$/]),
  ],
  chatFormat,
  mediaProcessor: llavaLlamaProcessor,
  about: {
    kind: 'media',
    features: ['LLaVA 1.5 and 1.6 as published', 'squares, or tiles line by line', 'text of llama, mistral'],
    reference: 'transformers, as llava',
  },
});
registerModel('llava_llama', LlavaLlamaRouter);
