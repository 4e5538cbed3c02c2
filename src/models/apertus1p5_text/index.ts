import {
  type ConfigOf,
  defineConfig,
  type Field,
  field,
  required,
  WIDTH,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  APERTUS_FIELDS,
  APERTUS_IRRELEVANT,
  FlashApertusForCausalLMATB,
  XIELU_UNREAD,
} from '../apertus/index.js';

type Rows = { readonly embeddingRows: number };

/** Rows of the head, which may lack those of the last tokens: these come in, and are never answered. */
const vocabSize: Field<number, Rows> = {
  read(json, { embeddingRows: rows }) {
    const found = json.value('output_vocab_size', WIDTH) ?? rows;
    if (found > rows) json.problem(`output_vocab_size must be at most vocab_size (${rows}), found ${found}`);
    return found;
  },
};

/** A head that lacks rows cannot be the embedding itself. */
const hasOwnHead: Field<boolean, Rows & { readonly vocabSize: number; readonly tieWordEmbeddings: boolean }> =
  {
    read(json, { embeddingRows, vocabSize: rows, tieWordEmbeddings }) {
      if (tieWordEmbeddings && rows !== embeddingRows)
        json.problem('tie_word_embeddings must be false where output_vocab_size is less than vocab_size');
      return !tieWordEmbeddings;
    },
  };

/** Defaults of transformers 5.24, Apertus1p5TextConfig. */
export const APERTUS1P5_FIELDS = {
  ...APERTUS_FIELDS,
  embeddingRows: field('vocab_size', WIDTH, required),
  vocabSize,
  hasOwnHead,
};

const APERTUS1P5_TEXT_CONFIG = defineConfig({ fields: APERTUS1P5_FIELDS, irrelevant: APERTUS_IRRELEVANT });

/** Apertus with more words than it answers with: others stand for pieces of pictures and of sound. */
export class FlashApertus1p5TextForCausalLMATB extends FlashApertusForCausalLMATB<
  ConfigOf<typeof APERTUS1P5_TEXT_CONFIG>
> {
  override readonly name: string = 'apertus1p5_text';
}

export const Apertus1p5TextRouter = routerOf(APERTUS1P5_TEXT_CONFIG, FlashApertus1p5TextForCausalLMATB, {
  harmlessTensors: XIELU_UNREAD,
  about: {
    kind: 'variant',
    features: ['as apertus', 'a head of fewer words'],
    reference: 'transformers',
  },
});
registerModel('apertus1p5_text', Apertus1p5TextRouter);
