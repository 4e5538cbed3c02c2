import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { encoding } from '../encoding.js';
import { invalidRequest } from '../http-error.js';
import type { ServedEmbedder } from '../served-model.js';
import { refuseUnbuilt, UNBUILT } from '../unbuilt.js';
import type { ServerContext } from './answers.js';
import { readBody, texts, textsOf } from './fields.js';

/** As many as OpenAI takes. */
const MAX_TEXTS = 2048;

export const embeddingBody = z.object({
  model: z.string().nullish(),
  input: texts(MAX_TEXTS),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).nullish(),
  /** The name of one of the model's prompts, as text-embeddings-inference has it. */
  prompt_name: z.string().nullish(),
  user: z.string().nullish(),
});

/** `POST /v1/embeddings`: texts are cut where the model's files say, token ids are taken as they are. */
export async function embed(
  context: ServerContext,
  { name, embedder }: ServedEmbedder,
  given: unknown,
  reply: FastifyReply,
): Promise<object> {
  const {
    input,
    encoding_format: format,
    dimensions,
    prompt_name: promptName,
  } = readBody(embeddingBody, given);
  refuseUnbuilt(given, UNBUILT.embeddings);
  const { width } = embedder;
  if (dimensions != null && dimensions > width)
    throw invalidRequest(`dimensions must be at most ${width}, as the model's vectors have`, 'dimensions');
  if (promptName != null && !embedder.promptNames.includes(promptName))
    throw invalidRequest(`prompt_name must be one of ${embedder.promptNames.join(', ')}`, 'prompt_name');
  const embeddings = await encoding(context, reply, name, (signal) =>
    embedder.embed(textsOf(input), {
      signal,
      ...(promptName != null && { promptName }),
      ...(dimensions != null && { dimensions }),
    }),
  );
  const tokens = embeddings.reduce((sum, one) => sum + one.tokens, 0);
  return {
    object: 'list',
    model: name,
    data: embeddings.map(({ vector }, index) => ({
      object: 'embedding',
      index,
      embedding: format === 'base64' ? base64Of(vector) : [...vector],
    })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** The bytes of the numbers as they lie in memory: f32, little-endian on every machine that the engine runs on. */
const base64Of = ({ buffer, byteOffset, byteLength }: Float32Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');
