import { registerModel, routerOf } from '../../router/index.js';
import { gridPositions } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { CLIP_NAMES, ProjectedTower, RowProjector, SiglipEncoder } from '../base/vision/index.js';
import { JANUS_CONFIG, type JanusConfig } from './config.js';
import { janusProcessor } from './processor.js';

const TEXT = 'model.language_model';

/** Llama that sees pictures by SigLIP (arXiv:2410.13848, section 3.2); of what it draws pictures by nothing is read. */
export class FlashJanusForCausalLMATB extends FlashInsertingATB<JanusConfig> {
  readonly name = 'janus';
  protected readonly encoderModule: ProjectedTower;

  constructor(config: JanusConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const { vision, hiddenSize: outSize } = config;
    const encoder = new SiglipEncoder(vision, weights.at('model.vision_model'), {
      positions: gridPositions,
      names: { ...CLIP_NAMES, dense: 'projection_layer' },
    });
    const aligner = new RowProjector(weights.at('model.aligner'), {
      ...{ inSize: vision.hiddenSize, outSize, hasBias: true, act: vision.hiddenAct },
      names: { up: 'fc1', down: 'hidden_layers.0' },
    });
    this.encoderModule = new ProjectedTower(encoder, aligner);
  }
}

export const JanusRouter = routerOf(JANUS_CONFIG, FlashJanusForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  harmlessTensors: [
    /^model\.(vqmodel|generation_(embeddings|aligner|head))\./,
    /\.embeddings\.position_ids$/,
  ],
  mediaProcessor: janusProcessor,
  about: {
    kind: 'media',
    features: ['pictures in squares by SigLIP', 'text of llama; it draws nothing'],
    reference: 'transformers',
  },
});
registerModel('janus', JanusRouter);
