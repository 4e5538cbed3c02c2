import {
  defineConfig,
  field,
  flag,
  isClassifier,
  keysBecause,
  labels,
  required,
  text,
  within,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { renamed, type Weights } from '../../weights/weights.js';
import { besideText, dtypeBesideText, tokensBesideText } from '../base/vision/index.js';
import {
  FlashModernbertModelATB,
  MODERNBERT_ENCODER_FIELDS,
  MODERNBERT_ENCODER_IRRELEVANT,
  type ModernBertConfig,
} from '../modernbert/index.js';

/** Defaults of transformers 5.24, ModernVBertConfig. */
const MODERNVBERT_CONFIG = defineConfig({
  fields: {
    ...within('text_config', MODERNBERT_ENCODER_FIELDS, [
      ...Object.keys(MODERNBERT_ENCODER_IRRELEVANT),
      // Which checkpoint the text was made of.
      'text_model_name',
    ]),
    modelType: field('model_type', text, required),
    dtype: dtypeBesideText,
    tieWordEmbeddings: besideText('tie_word_embeddings', flag, false),
    eosTokenIds: tokensBesideText('eos_token_id'),
    labels: {
      read(json) {
        if (!isClassifier(json.dict)) return labels.read(json, {});
        return json.fail(
          'architectures must not be those of a classifier: of modernvbert texts are embedded alone',
        );
      },
    } satisfies typeof labels,
  },
  irrelevant: {
    ...MODERNBERT_ENCODER_IRRELEVANT,
    ...keysBecause(
      'is about what it sees, which is not built',
      ...['vision_config', 'image_token_id', 'pixel_shuffle_factor'],
    ),
    ...keysBecause('belongs to a classifier', 'classifier_pooling', 'classifier_dropout', 'classifier_bias'),
    vocab_size: 'repeats that of text_config',
    hidden_size: 'repeats that of text_config',
  },
});

/** Where files have the text: those of a model that predicts words have one level more. */
const textNames = (weights: Weights): Weights =>
  weights.mapped((source) => {
    const inner = 'text_model.embeddings.tok_embeddings.weight';
    const root = source.has(`model.${inner}`) ? 'model.text_model.' : 'text_model.';
    return renamed(source, (name) => name.replace(/^model\./, root));
  });

/** The text of a ModernVBERT that could see (arXiv:2510.01149). */
export class FlashModernvbertModelATB extends FlashModernbertModelATB {
  constructor(config: ModernBertConfig, weights: Weights) {
    super(config, textNames(weights), 'modernvbert');
  }
}

export const ModernvbertRouter = routerOf(MODERNVBERT_CONFIG, FlashModernvbertModelATB, {
  harmlessTensors: [/^(model\.)?(vision_model|connector)\./, /^(lm_head|projection_head)\./],
  about: { kind: 'encoder', features: ['text alone of modernbert: no pictures'], reference: 'transformers' },
});
registerModel('modernvbert', ModernvbertRouter);
