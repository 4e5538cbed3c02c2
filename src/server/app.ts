import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { z } from 'zod';
import { refuseRequest } from '../errors.js';
import { CHECKS, checkOptions, type OptionChecks } from '../runner/options.js';
import { Clients, guardAccess } from './access.js';
import { Admission } from './admission.js';
import { anthropicError, countTokens, createMessage } from './anthropic/messages.js';
import { addDocumentation } from './documentation.js';
import { loggedError, openAiError, reportedError, unavailable } from './http-error.js';
import { acceptJson, refusedBody, sendBesideBody } from './json-body.js';
import { Metrics } from './metrics.js';
import { newId, nowSeconds, type ServerContext } from './openai/answers.js';
import { completeChat } from './openai/chat-completions.js';
import { complete } from './openai/completions.js';
import { embed } from './openai/embeddings.js';
import { readBody } from './openai/fields.js';
import { detokenize, tokenize } from './openai/tokenize.js';
import { allowOrigins } from './origins.js';
import { addPage } from './page.js';
import { rerank } from './rerank.js';
import { createResponse } from './responses/create.js';
import {
  CAPABILITIES,
  maxLenOf,
  modelFor,
  modelNamed,
  roomOf,
  type Served,
  type ServedModel,
  withAdapters,
} from './served-model.js';
import { refuseUnknownPaths } from './unknown-path.js';
import { refuseExpectation, refuseUnreadable } from './unreadable.js';

export interface ServerOptions {
  /** At least one; requests that name none get the first that does what they ask for. */
  readonly models: readonly Served[];
  /** Keys that let a client in; none: everybody on this machine. */
  readonly apiKeys?: readonly string[] | undefined;
  /** Answers that wait while as many as fit run, beyond which requests are refused; a batch more when absent. */
  readonly maxWaiting?: number | undefined;
  /** Bytes of a body; 4 MiB when absent. */
  readonly maxBodyBytes?: number | undefined;
  /** Milliseconds that a request may take; ten minutes when absent. */
  readonly requestTimeoutMs?: number | undefined;
  /** Origins whose pages may ask in a browser, as `https://chat.example.org`, or `*`; none when absent. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** Serve the page to chat at `/`; true when absent. */
  readonly hasPage?: boolean | undefined;
  /** Pino's level of the log on standard error; nothing is logged when absent. Prompts and answers never are. */
  readonly logLevel?: string | undefined;
}

const SERVER_OPTIONS: OptionChecks<ServerOptions> = {
  models: { required: true, expected: CHECKS.list.expected },
  apiKeys: CHECKS.texts,
  maxWaiting: CHECKS.integer,
  maxBodyBytes: CHECKS.count,
  requestTimeoutMs: CHECKS.positive,
  allowedOrigins: CHECKS.texts,
  hasPage: CHECKS.flag,
  logLevel: CHECKS.text,
};

export interface Server {
  readonly app: FastifyInstance;
  /** Refuses new requests, waits for those that run, or for so long, and closes. */
  close(timeoutMs: number): Promise<void>;
}

const DEFAULT_BODY_BYTES = 4 * 2 ** 20;
const DEFAULT_TIMEOUT_MS = 600_000;
/** A client that takes longer to send its request is none. */
const SLOW_REQUEST_MS = 30_000;
const SLOW_HEADERS_MS = 10_000;
/** How often Node.js looks for such clients; by itself each half minute, three times as long as headers may take. */
const LOOK_FOR_SLOW_MS = 2000;
/** An engine that gives no token for so long does not answer. */
const PROOF_MS = 10_000;

/** Cohere's clients and Jina's differ in it. */
const RERANK_PATHS = ['/v1/rerank', '/v2/rerank', '/rerank'] as const;

type Answer = (
  context: ServerContext,
  model: ServedModel,
  body: unknown,
  client: string | undefined,
  reply: FastifyReply,
) => Promise<object | undefined>;

/**
 * OpenAI's API for models that are ready. Whoever made the models disposes them, after `close`.
 * @throws REQUEST_INVALID, OPTION_UNKNOWN: a mistyped `apiKeys` would let everybody in
 */
export function createServer(options: ServerOptions): Server {
  checkOptions(options, SERVER_OPTIONS, 'ServerOptions');
  const { models, apiKeys = [], maxBodyBytes = DEFAULT_BODY_BYTES, logLevel } = options;
  const batch = models.reduce((sum, model) => sum + roomOf(model), 0);
  const admission = new Admission(batch + (options.maxWaiting ?? batch));
  const context: ServerContext = {
    models: byName(models.flatMap(withAdapters)),
    admission,
    clients: new Clients(apiKeys),
    metrics: new Metrics(models),
    requestTimeoutMs: options.requestTimeoutMs ?? DEFAULT_TIMEOUT_MS,
  };
  const app = Fastify({
    bodyLimit: maxBodyBytes,
    requestTimeout: SLOW_REQUEST_MS,
    connectionTimeout: SLOW_REQUEST_MS,
    http: {
      ...{ headersTimeout: SLOW_HEADERS_MS, connectionsCheckingInterval: LOOK_FOR_SLOW_MS },
      // `guardAccess` asks for it, in the shape of all errors.
      requireHostHeader: false,
    },
    // Clients join addresses and paths as they come.
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
    genReqId: () => newId('req_'),
    clientErrorHandler: refuseUnreadable,
    // Of paths that mean nothing, which no route and no hook sees.
    frameworkErrors: (error, request, reply) => sendError(error, request, reply),
    logger: logLevel !== undefined && {
      ...{ level: logLevel, stream: process.stderr },
      serializers: { err: loggedError },
    },
  });
  app.server.on('connection', (socket) => socket.setNoDelay(true));
  app.server.on('checkExpectation', refuseExpectation);
  letAnswersTakeTime(app);
  allowOrigins(app, options.allowedOrigins ?? []);
  acceptJson(app);
  guardAccess(app, apiKeys);
  refuseUnknownPaths(app);
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  addRoutes(app, context);
  addDocumentation(app);
  addPage(app, options.hasPage ?? true);
  return {
    app,
    async close(timeoutMs) {
      await admission.drain(timeoutMs);
      app.server.closeIdleConnections();
      const forced = setTimeout(() => app.server.closeAllConnections(), 1000);
      await app.close();
      clearTimeout(forced);
    },
  };
}

/** @throws REQUEST_INVALID for two of one name */
function byName(models: readonly Served[]): ReadonlyMap<string, Served> {
  const found = new Map(models.map((model) => [model.name, model]));
  const names = models.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) refuseRequest('models', 'models and adapters of names that differ', twice);
  return found;
}

/** A connection without traffic ends, but not while its request waits for an answer, or between the events of one. */
function letAnswersTakeTime(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw: { socket } }) => {
    socket.setTimeout(0);
  });
  app.addHook('onSend', async ({ raw: { socket } }) => {
    socket.setTimeout(SLOW_REQUEST_MS);
  });
}

function addRoutes(app: FastifyInstance, context: ServerContext): void {
  const { models, admission, clients, metrics } = context;
  const answering = (answer: Answer) => async (request: FastifyRequest, reply: FastifyReply) => {
    const { body } = request;
    const model = modelFor(models, nameIn(body), 'generate');
    const found = await answer(context, model, body, clients.of(request), reply);
    return found === undefined ? reply : found;
  };
  app.post('/v1/chat/completions', answering(completeChat));
  app.post('/v1/completions', answering(complete));
  app.post('/v1/responses', answering(createResponse));
  app.post('/v1/messages', answering(createMessage));
  app.post(
    '/v1/messages/count_tokens',
    answering(async (_, model, body) => countTokens(model, body)),
  );
  app.post(
    '/tokenize',
    answering(async (_, model, body) => tokenize(model, body)),
  );
  app.post(
    '/detokenize',
    answering(async (_, model, body) => detokenize(model, body)),
  );
  app.post('/v1/embeddings', ({ body }, reply) =>
    embed(context, modelFor(models, nameIn(body), 'embed'), body, reply),
  );
  for (const path of RERANK_PATHS)
    app.post(path, ({ body }, reply) => rerank(context, modelFor(models, nameIn(body), 'rank'), body, reply));

  const started = nowSeconds();
  // As OpenAI has it, then as Anthropic does.
  const card = (model: Served) => ({
    ...{ id: model.name, object: 'model', created: started, owned_by: 'atb-models' },
    ...{ type: 'model', display_name: model.name, created_at: new Date(1000 * started).toISOString() },
    max_model_len: maxLenOf(model),
    capabilities: [CAPABILITIES[model.use]],
    // As vLLM lists adapters.
    ...(model.use === 'generate' && model.adapter && { parent: model.adapter.of }),
  });
  app.get('/v1/models', async () => {
    const data = [...models.values()].map(card);
    const page = { has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
    return { object: 'list', data, ...page };
  });
  app.get<{ Params: { '*': string } }>('/v1/models/*', async ({ params }) =>
    card(modelNamed(models, params['*'])),
  );

  app.get('/health/live', async () => ({ status: 'alive' }));
  const ready = async (): Promise<object> => {
    if (admission.isDraining) throw unavailable('the server is stopping');
    await Promise.all([...models.values()].map(proveAnswering));
    return { status: 'ready' };
  };
  app.get('/health/ready', ready);
  app.get('/health', ready);
  app.get('/metrics', async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}

/** A token, a vector or a score from each engine, unless it is writing tokens anyway. */
async function proveAnswering(model: Served): Promise<void> {
  if (model.use === 'generate') {
    const { llm, adapter } = model;
    // Its model answers for it.
    if (adapter) return;
    if (llm.stats.running > 0) return;
    await llm.startTokens([0], { maxTokens: 1, temperature: 0, timeoutMs: PROOF_MS }).result;
    return;
  }
  const signal = AbortSignal.timeout(PROOF_MS);
  if (model.use === 'embed') await model.embedder.embed(['a'], { signal });
  else await model.reranker.rerank('a', ['a'], { signal });
}

const named = z.object({ model: z.string().nullish() });
const nameIn = (body: unknown): string | null | undefined => readBody(named, body).model;

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const found = reportedError(refusedBody(error, request) ?? error, request.log);
  if (found.retryAfter !== undefined) reply.header('retry-after', found.retryAfter);
  if (found.allow !== undefined) reply.header('allow', found.allow);
  const isAnthropic = request.url.startsWith('/v1/messages');
  const said = isAnthropic ? anthropicError(found, request.id) : openAiError(found);
  return sendBesideBody(said, request, reply.status(found.status));
}
