import {
  constant,
  defineConfig,
  field,
  flag,
  integer,
  required,
  text,
  tokenField,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { mergedPatches } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { aroundText, besideHead, textWithin } from '../base/text-within.js';
import {
  besideText,
  dtypeBesideText,
  PatchProjector,
  PixtralEncoder,
  PixtralProcessor,
  ProjectedTower,
  pixtralVision,
} from '../base/vision/index.js';

/** Text of LightOnOCR-1B, as transformers 5.24 has it in LightOnOcrConfig. */
const QWEN3 = {
  model_type: 'qwen3',
  vocab_size: 151_936,
  hidden_size: 1024,
  intermediate_size: 3072,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 8,
  head_dim: 128,
  max_position_embeddings: 40_960,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
} as const;

/** Defaults of transformers 5.24, LightOnOcrConfig and LightOnOcrMultiModalProjector. */
const LIGHTON_OCR_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', QWEN3),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField('image_token_id', 151_655),
      projectorAct: constant('gelu' as const),
      projectorBias: constant(false),
      mergeSize: field('spatial_merge_size', integer(1, 100), 2),
      vision: pixtralVision,
    },
  }),
);
type LightOnOcrConfig = ReturnType<(typeof LIGHTON_OCR_CONFIG)['read']>;

const TEXT = 'model.language_model';

/** Qwen 3 that reads pages by Pixtral's encoder. */
export class FlashLightOnOcrForCausalLMATB extends FlashInsertingATB<LightOnOcrConfig> {
  readonly name = 'lighton_ocr';
  protected readonly encoderModule: ProjectedTower;

  constructor(config: LightOnOcrConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const within = weights.at('model');
    const encoder = new PixtralEncoder(config, within.at('vision_encoder'));
    const projector = new PatchProjector(config, within.at('vision_projection'));
    this.encoderModule = new ProjectedTower(encoder, projector, [mergedPatches(config.mergeSize ** 2)]);
  }
}

/** Pixtral's, without words between the rows of a picture. */
class LightOnOcrProcessor extends PixtralProcessor {
  protected override tokensOf(lines: number, columns: number): Int32Array {
    return new Int32Array(lines * columns).fill(this.model.imageTokenId ?? -1);
  }
}

export const LightOnOcrRouter = routerOf(LIGHTON_OCR_CONFIG, FlashLightOnOcrForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: (folder, config, encode) => LightOnOcrProcessor.load(folder, config, encode),
  about: {
    kind: 'media',
    features: ['pictures of any size', "Pixtral's encoder", 'text of qwen3'],
    reference: 'transformers',
  },
});
registerModel('lighton_ocr', LightOnOcrRouter);
