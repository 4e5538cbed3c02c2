import {
  activation,
  type ConfigOf,
  contextLength,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  flag,
  integer,
  longestContext,
  oneOf,
  only,
  tablePositions,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { positions } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { FlashBertModelATB } from '../bert/index.js';

const COUNT = integer(1, 1000);

/** Defaults of transformers 5.24, BigBirdConfig. */
const BIG_BIRD_CONFIG = defineConfig({
  fields: {
    ...encoder({
      typeVocabSize: 2,
      padTokenId: 0,
      biases: { qkv: field('use_bias', flag, true), dense: true, mlp: true },
    }),
    ...tablePositions({ count: 4096, first: () => 0 }),
    hiddenAct: activation('hidden_act', 'gelu_tanh'),
    scalesEmbedding: field('rescale_embeddings', only(false), false),
    maxPositionEmbeddings: contextLength('max_position_embeddings', 4096),
    longestContext: longestContext(
      'texts that are attended to as wholes (attention_type, block_size, num_random_blocks): blocks are not built',
      (_: unknown, json) => {
        const kind = field('attention_type', oneOf('block_sparse', 'original_full'), 'block_sparse');
        const size = field('block_size', COUNT, 64).read(json, {});
        const random = field('num_random_blocks', COUNT, 3).read(json, {});
        return kind.read(json, {}) === 'original_full' ? undefined : (5 + 2 * random) * size;
      },
    ),
  },
  irrelevant: { ...ENCODER_IRRELEVANT, sep_token_id: 'is an id that the tokenizer knows' },
});
type BigBirdConfig = ConfigOf<typeof BIG_BIRD_CONFIG>;

/** BERT for texts up to the length from which BigBird would attend to blocks of them alone (arXiv:2007.14062). */
export class FlashBigBirdModelATB extends FlashBertModelATB {
  constructor(config: BigBirdConfig, weights: Weights) {
    const { hiddenAct: act } = config;
    super(config, weights, {
      ...{ name: 'big_bird', root: 'bert', positions },
      classifier: { dense: 'classifier.dense', out: 'classifier.out_proj', act },
    });
  }
}

export const BigBirdRouter = routerOf(BIG_BIRD_CONFIG, FlashBigBirdModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['BERT up to 704 tokens, where attention is to all of them'],
    reference: 'transformers',
  },
});
registerModel('big_bird', BigBirdRouter);
