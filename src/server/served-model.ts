import { EmbeddingModel } from '../engine/encoding/embedding-model.js';
import { Reranker } from '../engine/encoding/reranker.js';
import { LLM } from '../engine/llm.js';
import { AtbError } from '../errors.js';
import { type ArgumentKind, requireArgument, TEXT } from '../require-argument.js';
import type { ModelUse } from '../router/index.js';
import type { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import type { InputBuilder } from '../tokenizer/input-builder.js';
import { HttpError, invalidRequest } from './http-error.js';

/** A model that writes text and is ready for requests, under the name that they call it by. */
export interface ServedModel {
  readonly use: 'generate';
  readonly name: string;
  readonly llm: LLM;
  /** The LoRA adapter with which it answers, and the name of the model that it is of; absent for the model itself. */
  readonly adapter?: { readonly name: string; readonly of: string };
  readonly tokenizer: HfTokenizer;
  readonly inputBuilder: InputBuilder;
}

/** One that makes vectors of texts. */
export interface ServedEmbedder {
  readonly use: 'embed';
  readonly name: string;
  readonly embedder: EmbeddingModel;
}

/** One that ranks documents by a query. */
export interface ServedReranker {
  readonly use: 'rank';
  readonly name: string;
  readonly reranker: Reranker;
}

export type Served = ServedModel | ServedEmbedder | ServedReranker;

const LOADED: ArgumentKind = {
  expected: 'what LLM.load, EmbeddingModel.load or Reranker.load gives',
  holds: (value) => value instanceof LLM,
};

/** @throws OPTION_UNSUPPORTED for a model without its tokenizer, which could only be asked in token ids */
export function serveModel(name: string, llm: LLM): ServedModel;
export function serveModel(name: string, model: LLM | EmbeddingModel | Reranker): Served;
export function serveModel(name: string, model: LLM | EmbeddingModel | Reranker): Served {
  requireArgument('serveModel', 'the name', TEXT, name);
  if (model instanceof EmbeddingModel) return { use: 'embed', name, embedder: model };
  if (model instanceof Reranker) return { use: 'rank', name, reranker: model };
  requireArgument('serveModel', 'the model', LOADED, model);
  const { tokenizer, inputBuilder } = model.text;
  if (!tokenizer || !inputBuilder)
    throw new AtbError('OPTION_UNSUPPORTED', {
      option: 'loadTokenizer',
      found: false,
      reason: 'a server reads and writes text',
    });
  return { use: 'generate', name, llm: model, tokenizer, inputBuilder };
}

/** The model, and beside it each of its LoRA adapters under the adapter's own name. */
export const withAdapters = (model: Served): readonly Served[] =>
  model.use === 'generate'
    ? [
        model,
        ...model.llm.runner.adapters.map((name) => ({ ...model, name, adapter: { name, of: model.name } })),
      ]
    : [model];

export function disposeServed(model: Served): Promise<void> {
  if (model.use === 'generate') return model.llm.dispose();
  return (model.use === 'embed' ? model.embedder : model.reranker).dispose();
}

/** Calls of an encoder that share its steps; more of them only make each other wait. */
const ENCODER_CALLS = 8;

/** Requests that a model works on at once. */
export const roomOf = (model: Served): number =>
  model.use === 'generate' ? model.llm.maxNumSeqs : ENCODER_CALLS;

/** Tokens of a request's prompt and answer, or of a text. */
export function maxLenOf(model: Served): number {
  if (model.use === 'generate') return model.llm.maxModelLen;
  return (model.use === 'embed' ? model.embedder : model.reranker).maxSeqLength;
}

/** What models of each use do, in the words that llama.cpp's server lists them by, and in ours. */
export const CAPABILITIES = { generate: 'completion', embed: 'embedding', rank: 'rerank' } as const;
const DOES = { generate: 'writes text', embed: 'makes vectors of texts', rank: 'ranks documents' } as const;

/** @throws HttpError 404 for a name that there is not */
export function modelNamed(models: ReadonlyMap<string, Served>, name: string): Served {
  const found = models.get(name);
  if (found !== undefined) return found;
  const message = `there is no model ${JSON.stringify(name.slice(0, 200))}; there is ${listed([...models.values()])}`;
  throw new HttpError(404, message, 'invalid_request_error', 'model_not_found', 'model');
}

/**
 * The model of a request, for what its path asks: the first one that does it when none is named.
 * @throws HttpError 404 when there is none, 400 for one that does something else
 */
export function modelFor<U extends ModelUse>(
  models: ReadonlyMap<string, Served>,
  name: string | null | undefined,
  use: U,
): Extract<Served, { use: U }> {
  const able = [...models.values()].filter(
    (model): model is Extract<Served, { use: U }> => model.use === use,
  );
  const [first] = able;
  if (name) {
    const found = modelNamed(models, name);
    const same = able.find((model) => model === found);
    if (same) return same;
    const other = first ? `${listed(able)} does` : 'no model here does';
    const message = `${JSON.stringify(name)} ${DOES[found.use]}; this path wants a model that ${DOES[use]}: ${other}`;
    throw invalidRequest(message, 'model', 'model_not_supported');
  }
  if (first) return first;
  const message = `no model here ${DOES[use]}; there is ${listed([...models.values()])}`;
  throw new HttpError(404, message, 'invalid_request_error', 'model_not_found', 'model');
}

const listed = (models: readonly Served[]): string =>
  models.map(({ name }) => JSON.stringify(name)).join(', ');
