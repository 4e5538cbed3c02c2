import {
  type ConfigOf,
  constant,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  field,
  flag,
  keysBecause,
  LENGTH,
  oneOf,
  only,
  rotaryConfig,
  tokenField,
} from '../../layers/config/index.js';

type Kind = { readonly positionKind: string };
type Table = Kind & { readonly positionTable: number };

/** Rows of a table of positions behind those of padding and of what is before it; all of them, where positions turn. */
const maxPositionEmbeddings: Field<number, Table & { readonly padTokenId: number | undefined }> = {
  read(json, { positionKind, positionTable, padTokenId = 1 }) {
    const usable = positionKind === 'rotary' ? positionTable : positionTable - padTokenId - 1;
    if (usable > 0) return usable;
    return json.fail(`max_position_embeddings (${positionTable}) leaves no position behind pad_token_id`);
  },
};

const learned: Field<number, Kind & { readonly maxPositionEmbeddings: number }> = {
  read: (_, { positionKind, maxPositionEmbeddings: count }) =>
    positionKind === 'rotary' ? Number.POSITIVE_INFINITY : count,
};

/** Defaults of transformers 5.24, EsmConfig. */
export const ESM_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 0, padTokenId: 1, biases: { qkv: true, dense: true, mlp: true } }),
    typeVocabSize: constant(0),
    hiddenAct: constant('gelu' as const),
    activation: field('hidden_act', only('gelu'), 'gelu'),
    positionKind: field('position_embedding_type', oneOf('absolute', 'rotary'), 'absolute'),
    positionTable: field('max_position_embeddings', LENGTH, 1026),
    maxPositionEmbeddings,
    learnedPositions: learned,
    rope: rotaryConfig({ theta: 10_000 }),
    normsEmbedding: field('emb_layer_norm_before', flag, false),
    dropsMasks: field('token_dropout', flag, false),
    maskTokenId: tokenField('mask_token_id', undefined),
    folds: field('is_folding_model', only(false), false),
  },
  irrelevant: {
    ...ENCODER_IRRELEVANT,
    ...keysBecause('is about a model that folds', 'esmfold_config', 'vocab_list'),
  },
});
export type EsmConfig = ConfigOf<typeof ESM_CONFIG>;
