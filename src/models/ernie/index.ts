import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  field,
  flag,
  integer,
  keysBecause,
  tablePositions,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { SharedEmbedding } from '../../layers/decoder/learned-positions.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { registerModel, routerOf } from '../../router/index.js';
import { headRows, lengths, positions, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { bertEmbeddings, bertLayerParts, HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

/** Defaults of transformers 5.24, ErnieConfig. */
const ERNIE_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    ...tablePositions({ count: 512, first: () => 0 }),
    knowsTasks: field('use_task_id', flag, false),
    taskTypes: field('task_type_vocab_size', integer(1, 2 ** 16), 3),
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    ...keysBecause('belongs to the framework that trained it', 'paddlenlp_version'),
    ...keysBecause('says what transformers does anyway', 'pool_act', 'task_id'),
  },
});
type ErnieConfig = ConfigOf<typeof ERNIE_CONFIG>;

/** BERT, whose tokens may get the vector of a task, which is the first where nobody names one (arXiv:1907.12412, section 3.2). */
export class FlashErnieModelATB extends TextEncoderATB<ErnieConfig> {
  constructor(config: ErnieConfig, weights: Weights) {
    const { hiddenSize, knowsTasks, taskTypes: count } = config;
    const inner = weights.at('ernie');
    const embeddings = inner.at('embeddings');
    const { added, norm } = bertEmbeddings(embeddings, config);
    const tasks = embeddings.at('task_type_embeddings');
    super({
      name: 'ernie',
      config,
      stepInputs: [tokenIds, positions, tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        added: knowsTasks ? [...added, new SharedEmbedding(tasks, { count, hiddenSize, row: 0 })] : added,
        norm,
        layer: (layerId, at) => new PostNormLayer(layerId, at, bertLayerParts(layerId, at, config)),
      }),
      head: classifierOf(weights, config, { dense: 'ernie.pooler.dense', out: 'classifier' }),
    });
  }
}

export const ErnieRouter = routerOf(ERNIE_CONFIG, FlashErnieModelATB, {
  // Some files have the vectors of tasks that use_task_id switches off.
  harmlessTensors: [...HARMLESS_IN_ENCODERS, /(^|\.)embeddings\.task_type_embeddings\./],
  about: { kind: 'encoder', features: ['BERT with the vector of a task'], reference: 'transformers' },
});
registerModel('ernie', ErnieRouter);
