import swagger, { type StaticDocumentSpec } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { countBody, messagesBody } from './anthropic/messages.js';
import { chatBody } from './openai/chat-completions.js';
import { completionBody } from './openai/completions.js';
import { embeddingBody } from './openai/embeddings.js';
import { detokenizeBody, tokenizeBody } from './openai/tokenize.js';
import { rerankBody } from './rerank.js';
import { responseBody } from './responses/create.js';

/** What each path takes, by the very schemas that requests are read by. */
const BODIES: Readonly<Record<string, readonly [tag: string, summary: string, body: z.ZodType]>> = {
  '/v1/chat/completions': ['OpenAI', 'Answers messages', chatBody],
  '/v1/completions': ['OpenAI', 'Continues texts', completionBody],
  '/v1/responses': ['OpenAI', 'Answers items, without state', responseBody],
  '/v1/embeddings': ['OpenAI', 'Makes vectors of texts', embeddingBody],
  '/v1/rerank': ['Cohere, Jina', 'Ranks documents by a query', rerankBody],
  '/v1/messages': ['Anthropic', 'Answers messages', messagesBody],
  '/v1/messages/count_tokens': ['Anthropic', 'Counts the tokens of messages', countBody],
  '/tokenize': ['Tokens', 'Texts or messages to ids', tokenizeBody],
  '/detokenize': ['Tokens', 'Ids to text', detokenizeBody],
};
const READ: Readonly<Record<string, readonly [tag: string, summary: string]>> = {
  '/v1/models': ['OpenAI', 'The models by name'],
  '/health/live': ['Operation', 'Whether the process lives'],
  '/health/ready': ['Operation', 'Whether every engine gives a token'],
  '/metrics': ['Operation', 'Figures for Prometheus'],
};

/**
 * `/docs` and `/openapi.json`. The document is made apart from the routes, because those read bodies by themselves:
 * Fastify would refuse them in words of its own.
 */
export function addDocumentation(app: FastifyInstance): void {
  const document = openApiDocument();
  void app.register(swagger, { mode: 'static', specification: { document } });
  void app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true });
  app.get('/openapi.json', async () => document);
}

function openApiDocument(): StaticDocumentSpec['document'] {
  const answers = {
    200: { description: 'The answer' },
    default: { description: 'An error in the shape of the API' },
  };
  const posts = Object.entries(BODIES).map(([path, [tag, summary, body]]) => {
    // `input`: as clients write it; what cannot be said in JSON Schema may be anything.
    const { $schema: _, ...schema } = z.toJSONSchema(body, { io: 'input', unrepresentable: 'any' });
    const requestBody = { required: true, content: { 'application/json': { schema } } };
    return [path, { post: { tags: [tag], summary, requestBody, responses: answers } }];
  });
  const gets = Object.entries(READ).map(([path, [tag, summary]]) => [
    path,
    { get: { tags: [tag], summary, responses: answers } },
  ]);
  return {
    openapi: '3.1.0',
    info: { title: 'atb-models', version: '1' },
    paths: Object.fromEntries([...posts, ...gets]),
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{ key: [] }, {}],
  };
}
