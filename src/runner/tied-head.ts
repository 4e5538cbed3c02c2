import type { BaseConfig } from '../layers/config/index.js';
import type { HeadNames } from '../router/index.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { haveSameNumbers } from '../weights/same-numbers.js';

/** What the files hold of a head that the configuration ties to the embedding. */
export interface TiedHead {
  readonly tieWordEmbeddings: boolean;
  /** Names of weights that are read under other names. */
  readonly otherNames: ReadonlyMap<string, string>;
  /** Names of tensors that need not be read, because they repeat another one. */
  readonly copies: readonly RegExp[];
}

/**
 * Whether the head is the embedding, for a model that config.json ties. As transformers 5 (`tie_weights`): a head in the
 * files that differs from the embedding is used, with a warning; where the files hold the head alone, it is the embedding,
 * too. Transformers 4 and vLLM take the embedding in any case. Throws WEIGHT_FILE_*.
 */
export async function settleTiedHead(
  { tieWordEmbeddings }: Pick<BaseConfig, 'tieWordEmbeddings'>,
  checkpoint: Checkpoint,
  names: HeadNames,
  onWarning: (text: string) => void = () => {},
): Promise<TiedHead> {
  const asSaid = { tieWordEmbeddings, otherNames: new Map<string, string>(), copies: [] };
  const [embeddingName, headName] = [`${names.embedding}.weight`, `${names.head}.weight`];
  const [embedding, head] = [checkpoint.stored(embeddingName), checkpoint.stored(headName)];
  if (!tieWordEmbeddings || head === undefined) return asSaid;
  if (embedding === undefined) return { ...asSaid, otherNames: new Map([[embeddingName, headName]]) };
  if (await haveSameNumbers(embedding, head)) return { ...asSaid, copies: [endingIn(headName)] };
  onWarning(
    `config.json says that the head is the embedding ("tie_word_embeddings": true), but the files hold "${headName}", which differs: it is used, as transformers 5 does; say "tie_word_embeddings": false if that is meant, or remove the tensor`,
  );
  return { ...asSaid, tieWordEmbeddings: false };
}

/** A name of a tensor, whatever stands before it. */
export const endingIn = (name: string): RegExp => new RegExp(`(^|\\.)${name.replaceAll('.', '\\.')}$`);
