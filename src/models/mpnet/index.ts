import { RelativeScoreBias, SCORE_BIAS } from '../../layers/attention/relative-score-bias.js';
import {
  type ConfigOf,
  constant,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  integer,
  tablePositions,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  headRows,
  LOGARITHMIC_BUCKETS,
  lengths,
  logarithmicBucket,
  positionsPastPadding,
  relativeBuckets,
  tokenIds,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  type BertLayerNames,
  bertAttention,
  bertEmbeddings,
  bertLayerParts,
  HARMLESS_IN_ENCODERS,
} from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

/** The row of padding in the table of positions, whatever `pad_token_id` says (transformers 5.24, MPNetEmbeddings). */
const PADDING = 1;

/** Defaults of transformers 5.24, MPNetConfig. */
const MPNET_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 0, padTokenId: 1, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => PADDING + 1 }),
    typeVocabSize: constant(0),
    // Rows of the table. Buckets are found as if there were 32, so that fewer rows would not do.
    relativeBuckets: field('relative_attention_num_buckets', integer(LOGARITHMIC_BUCKETS, 2 ** 16), 32),
  },
  irrelevant: ENCODER_IRRELEVANT,
});
type MpnetConfig = ConfigOf<typeof MPNET_CONFIG>;

const LAYER: BertLayerNames = {
  q: 'attention.attn.q',
  k: 'attention.attn.k',
  v: 'attention.attn.v',
  dense: 'attention.attn.o',
  attentionNorm: 'attention.LayerNorm',
  up: 'intermediate.dense',
  down: 'output.dense',
  outputNorm: 'output.LayerNorm',
};

const BIASED = { scoreBias: SCORE_BIAS };

/** Embeddings, what distances add to scores, and layers. */
class MpnetModelATB extends EncoderModelATB {
  readonly scoreBias: RelativeScoreBias;

  constructor(config: MpnetConfig, weights: Weights) {
    super(config, weights, {
      names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
      ...bertEmbeddings(weights.at('embeddings'), config),
      layer: (layerId, at) =>
        new PostNormLayer(
          layerId,
          at,
          bertLayerParts(layerId, at, config, LAYER, bertAttention(layerId, at, config, LAYER, BIASED)),
        ),
    });
    const { relativeBuckets, numAttentionHeads } = config;
    const table = weights.at('encoder').at('relative_attention_bias');
    this.scoreBias = new RelativeScoreBias(table, relativeBuckets, numAttentionHeads);
  }

  override buildPositionalEmbeddingGraph(graph: Parameters<RelativeScoreBias['buildGraph']>[0]): void {
    this.scoreBias.buildGraph(graph);
  }
}

/** BERT without types of tokens, whose scores know distances, too (arXiv:2004.09297, section 2.4). */
export class FlashMpnetModelATB extends TextEncoderATB<MpnetConfig> {
  constructor(config: MpnetConfig, weights: Weights) {
    super({
      name: 'mpnet',
      config,
      stepInputs: [
        tokenIds,
        positionsPastPadding(PADDING),
        relativeBuckets(logarithmicBucket),
        lengths,
        headRows,
      ],
      body: new MpnetModelATB(config, weights.at('mpnet')),
      head: classifierOf(weights, config, { dense: 'classifier.dense', out: 'classifier.out_proj' }),
    });
  }
}

export const MpnetRouter = routerOf(MPNET_CONFIG, FlashMpnetModelATB, {
  harmlessTensors: HARMLESS_IN_ENCODERS,
  about: {
    kind: 'encoder',
    features: ['BERT, positions behind that of padding', 'learned numbers of distances added to scores'],
    reference: 'transformers',
  },
});
registerModel('mpnet', MpnetRouter);
