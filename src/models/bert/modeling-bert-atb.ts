import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  tablePositions,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import {
  headRows,
  lengths,
  positions,
  type StepInput,
  slidingMasks,
  tokenIds,
  tokenTypes,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { bertEmbeddings, bertLayerParts } from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

/** Defaults of transformers 5.24, BertConfig. */
export const BERT_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
  },
  irrelevant: ENCODER_IRRELEVANT,
});
export type BertConfig = ConfigOf<typeof BERT_CONFIG>;

/** What a variant of BERT calls by other names, and how it numbers positions. */
export interface BertVariant {
  readonly name: string;
  /** The checkpoint's name of the model within a classifier. */
  readonly root: string;
  readonly positions: StepInput;
  readonly classifier: Parameters<typeof classifierOf>[2];
}

const BERT: BertVariant = {
  name: 'bert',
  root: 'bert',
  positions,
  classifier: { dense: 'bert.pooler.dense', out: 'classifier' },
};

/** An encoder with learned positions whose layers norm the sums of their residuals (arXiv:1810.04805, section 3). */
export class FlashBertModelATB extends TextEncoderATB<BertConfig> {
  constructor(
    config: BertConfig,
    weights: Weights,
    { name, root, positions, classifier }: BertVariant = BERT,
  ) {
    const inner = weights.at(root);
    super({
      name,
      config,
      stepInputs: [
        tokenIds,
        positions,
        tokenTypes,
        ...slidingMasks(config.slidingWindows, true),
        lengths,
        headRows,
      ],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        ...bertEmbeddings(inner.at('embeddings'), config),
        layer(layerId, at) {
          const window = config.slidingWindows[layerId];
          const variant = window === undefined ? '' : `sliding_${window}`;
          return new PostNormLayer(layerId, at, bertLayerParts(layerId, at, config), variant);
        },
      }),
      head: classifierOf(weights, config, classifier),
    });
  }
}
