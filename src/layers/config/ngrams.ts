import { integer, SIZE, WIDTH } from './checks.js';
import { type Field, field } from './fields.js';

type Sizes = Readonly<Record<'hiddenSize' | 'ngramSize' | 'headsPerNgram', number>>;
type Layers = { readonly ngramLayers: readonly number[] };

/** Parts of all tables together, each of as many rows as another prime number: published files have a few dozen. */
const MOST_PARTS = 1024;

/** Of all parts of a table together. */
const ngramWidth: Field<number, Sizes & Layers> = {
  read(json, { hiddenSize, ngramSize, headsPerNgram, ngramLayers }) {
    const width = json.value('ple_embed_dim', WIDTH) ?? hiddenSize;
    const parts = (ngramSize - 1) * headsPerNgram;
    if (width % parts !== 0 && ngramLayers.length > 0)
      json.problem(`ple_embed_dim must be a multiple of the ${parts} parts of a table, found ${width}`);
    if (parts * ngramLayers.length > MOST_PARTS)
      json.problem(
        `ple_layer_ids, ngram_size and heads_per_ngram must make at most ${MOST_PARTS} parts of tables, found ${ngramLayers.length} of ${parts} each`,
      );
    return width;
  },
};

/** Where n-grams begin anew: the first of the tokens that end a text. */
const ngramSeparator: Field<
  number,
  Layers & { readonly eosTokenIds: readonly number[]; readonly vocabSize: number }
> = {
  read(json, { eosTokenIds: [first = 0], ngramLayers: { length }, vocabSize }) {
    if (json.isAbsent('eos_token_id') && length > 0)
      json.problem('eos_token_id is missing, at which n-grams begin anew');
    if (first >= vocabSize && length > 0)
      json.problem(`eos_token_id must be below vocab_size (${vocabSize}), found ${first}`);
    return first;
  },
};

/** Tables of n-grams, of which each of `ngramLayers` has one, as Qwen3.8 has them. Defaults of transformers 5.24. */
export const ngramFields = {
  ngramSize: field('ngram_size', integer(2, 16), 3),
  headsPerNgram: field('heads_per_ngram', integer(1, 1000), 8),
  ngramWidth,
  ngramTaps: field('ple_conv_kernel_size', integer(2, 16), 4),
  ngramVocab: field('ngram_vocab_size_base', integer(2, 2 ** 28), 20_000_000),
  ngramVocabMultiple: field('make_ngram_vocab_size_divisible_by', SIZE, 128),
  ngramSeed: field('seed', integer(0, Number.MAX_SAFE_INTEGER), 1234),
  ngramShards: field('split_ngram_parts', integer(1, 100_000), 512),
  ngramSeparator,
};
