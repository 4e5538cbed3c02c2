import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { encoding } from './encoding.js';
import { newId, type ServerContext } from './openai/answers.js';
import { readBody } from './openai/fields.js';
import type { ServedReranker } from './served-model.js';
import { refuseUnbuilt, UNBUILT } from './unbuilt.js';

/** As many as Cohere takes. */
const MAX_DOCUMENTS = 1000;

export const rerankBody = z.object({
  model: z.string().nullish(),
  query: z.string(),
  documents: z
    .array(
      z.union([z.string(), z.looseObject({ text: z.string() })], 'must be a text, or an object with a text'),
    )
    .min(1)
    .max(MAX_DOCUMENTS),
  top_n: z.int().min(1).nullish(),
  return_documents: z.boolean().nullish(),
  /** What the documents are wanted for, for models that are asked in words. */
  instruction: z.string().nullish(),
});

/** `POST /v1/rerank`, in the shape that Cohere and Jina share: documents by how well they answer the query, best first. */
export async function rerank(
  context: ServerContext,
  { name, reranker }: ServedReranker,
  given: unknown,
  reply: FastifyReply,
): Promise<object> {
  const { query, top_n: topN, return_documents: returns, instruction, ...body } = readBody(rerankBody, given);
  refuseUnbuilt(given, UNBUILT.rerank);
  const documents = body.documents.map((document) =>
    typeof document === 'string' ? document : document.text,
  );
  const ranked = await encoding(context, reply, name, (signal) =>
    reranker.rerank(query, documents, { signal, ...(instruction != null && { instruction }) }),
  );
  const tokens = ranked.reduce((sum, one) => sum + one.tokens, 0);
  return {
    id: newId('rerank-'),
    object: 'list',
    model: name,
    results: ranked.slice(0, topN ?? ranked.length).map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(returns && { document: { text: documents[index] } }),
    })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}
