import { describeValue } from '../../describe-value.js';
import { isObject } from '../../is-object.js';
import { type ConfigDict, EPSILON, integer, LENGTH, only } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import { type Field, field } from './fields.js';
import { fullAttention } from './sliding-windows.js';
import { biases, groupedQueryAttention, learnedPositions, mlp, textModel, tokenField } from './text-model.js';

/** The defaults that a family of encoders must state. */
export interface EncoderDefaults {
  /** How many types of tokens have an embedding of their own. */
  readonly typeVocabSize: number;
  readonly padTokenId: number;
  /** Which projections have biases. */
  readonly biases: Parameters<typeof biases>[0];
}

/** An encoder with BERT's names; positions are left to the family. */
export const encoder = (defaults: EncoderDefaults) => ({
  ...textModel({ tieWordEmbeddings: true }),
  padTokenId: tokenField('pad_token_id', defaults.padTokenId),
  ...groupedQueryAttention({
    numKeyValueHeads: 'num_attention_heads',
    headDim: 'hidden_size / num_attention_heads',
  }),
  ...biases(defaults.biases),
  ...mlp({ hiddenAct: 'gelu' }),
  layerNormEps: field('layer_norm_eps', EPSILON, 1e-12),
  typeVocabSize: field('type_vocab_size', integer(0, 2 ** 16), defaults.typeVocabSize),
  slidingWindows: fullAttention,
  isCausal: field('is_decoder', only(false), false),
  labels,
});

/** Keys of config.json that change nothing in any of them, each with the reason. */
export const ENCODER_IRRELEVANT: Readonly<Record<string, string>> = {
  directionality: 'says what all encoders are',
  output_past: 'says what a call returns',
  pooler_fc_size: 'belongs to a pooler that BertModel does not have',
  pooler_num_attention_heads: 'belongs to a pooler that BertModel does not have',
  pooler_num_fc_layers: 'belongs to a pooler that BertModel does not have',
  pooler_size_per_head: 'belongs to a pooler that BertModel does not have',
  pooler_type: 'says what BertPooler does anyway',
  sentence_transformers: 'is read by whoever ranks',
  sbert_ce_default_activation_function: 'is read by whoever ranks',
};

/** Learned positions: `first` is the row of the first one, by the id of padding. */
export const tablePositions = ({
  count,
  first,
}: {
  readonly count: number;
  readonly first: (padTokenId: number) => number;
}) => ({
  /** Rows of the table. */
  positionTable: field('max_position_embeddings', LENGTH, count),
  maxPositionEmbeddings: usablePositions(first),
  learnedPositions,
  positionKind: field('position_embedding_type', only('absolute'), 'absolute'),
});

const usablePositions = (
  first: (padTokenId: number) => number,
): Field<number, { readonly positionTable: number; readonly padTokenId: number | undefined }> => ({
  read(json, { positionTable, padTokenId = 0 }) {
    const usable = positionTable - first(padTokenId);
    if (usable > 0) return usable;
    return json.fail(`max_position_embeddings (${positionTable}) leaves no position behind pad_token_id`);
  },
});

/** Whether a config.json is that of a classifier, as its first architecture says. */
export const isClassifier = ({ architectures }: ConfigDict): boolean =>
  Array.isArray(architectures) && String(architectures[0]).endsWith('ForSequenceClassification');

/** How many labels a classifier has; undefined for what is none. transformers: as many as `id2label` names, else 2. */
export const labels: Field<number | undefined> = { read: (json) => labelsOf(json) };

/** The same, of a whole config.json. */
export function labelsOf(json: ConfigReader): number | undefined {
  const [names, count] = [json.raw('id2label'), json.value('num_labels', integer(1, 2 ** 20))];
  if (!isClassifier(json.dict)) return undefined;
  if (!isObject(names ?? {}) || (isObject(names) && Object.keys(names).length === 0))
    json.fail(`id2label must be an object with a name for each label, found ${describeValue(names)}`);
  const named = isObject(names) ? Object.keys(names).length : undefined;
  if (named !== undefined && count !== undefined && named !== count)
    json.fail(`id2label and num_labels contradict each other: ${named} and ${count}`);
  return named ?? count ?? 2;
}
