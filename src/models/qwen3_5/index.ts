import {
  type ConfigOf,
  constant,
  defineConfig,
  nested,
  tokenField,
  within,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  denseFields,
  denseParts,
  QWEN3_5_IRRELEVANT,
  sparseFields,
  sparseParts,
} from '../qwen3_5_text/index.js';
import { GUESSING_LAYERS, hybridLayers } from '../qwen3_next/index.js';
import {
  FlashQwen3vlForCausalLMATB,
  QWEN3_VL_FIELDS,
  QWEN3_VL_IRRELEVANT,
  QWEN3_VL_VISION,
  TimedProcessor,
} from '../qwen3_vl/index.js';

/** What stands beside text, with its defaults of transformers 5.24; no layer of the tower gives vectors of its own. */
export const QWEN3_5_BESIDE_TEXT = {
  ...QWEN3_VL_FIELDS,
  imageTokenId: tokenField('image_token_id', 248_056),
  videoTokenId: tokenField('video_token_id', 248_057),
  visionStartId: tokenField('vision_start_token_id', 248_053),
  visionEndId: tokenField('vision_end_token_id', 248_054),
  vision: nested('vision_config', { ...QWEN3_VL_VISION, deepLayers: constant<readonly number[]>([]) }),
};

const OF_TEXT = Object.keys(QWEN3_5_IRRELEVANT);
const QWEN3_5_CONFIG = defineConfig({
  fields: { ...within('text_config', denseFields, OF_TEXT), ...QWEN3_5_BESIDE_TEXT },
  irrelevant: QWEN3_VL_IRRELEVANT,
});
const QWEN3_5_MOE_CONFIG = defineConfig({
  fields: { ...within('text_config', sparseFields, OF_TEXT), ...QWEN3_5_BESIDE_TEXT },
  irrelevant: QWEN3_VL_IRRELEVANT,
});
type Qwen35Config = ConfigOf<typeof QWEN3_5_CONFIG>;
type Qwen35MoeConfig = ConfigOf<typeof QWEN3_5_MOE_CONFIG>;

/** Qwen3.5, which sees: its text behind the tower of Qwen3-VL. */
export class FlashQwen35WithVisionATB extends FlashQwen3vlForCausalLMATB<Qwen35Config> {
  override readonly name = 'qwen3_5_vision';

  constructor(config: Qwen35Config, weights: Weights) {
    super(config, weights, hybridLayers(config, denseParts(config)));
  }
}

/** The same with experts. */
export class FlashQwen35MoeWithVisionATB extends FlashQwen3vlForCausalLMATB<Qwen35MoeConfig> {
  override readonly name = 'qwen3_5_moe_vision';

  constructor(config: Qwen35MoeConfig, weights: Weights) {
    super(config, weights, hybridLayers(config, sparseParts(config)));
  }
}

const ABOUT = { kind: 'media', reference: 'transformers' } as const;
const OPTIONS = { mediaProcessor: TimedProcessor.read, harmlessTensors: GUESSING_LAYERS };

export const Qwen35VisionRouter = routerOf(QWEN3_5_CONFIG, FlashQwen35WithVisionATB, {
  ...OPTIONS,
  about: { ...ABOUT, features: ['as qwen3_vl', 'text of qwen3_5_text'] },
});
registerModel('qwen3_5', Qwen35VisionRouter);

export const Qwen35MoeVisionRouter = routerOf(QWEN3_5_MOE_CONFIG, FlashQwen35MoeWithVisionATB, {
  ...OPTIONS,
  about: { ...ABOUT, features: ['as qwen3_vl', 'text of qwen3_5_moe_text'] },
});
registerModel('qwen3_5_moe', Qwen35MoeVisionRouter);
