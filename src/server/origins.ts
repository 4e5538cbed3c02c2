import type { FastifyInstance } from 'fastify';

/** Seconds for which a browser need not ask again. */
const MAX_AGE_S = 7200;
/** Headers of answers that pages may see; browsers hide them otherwise. */
const SHOWN = 'x-request-id, request-id, retry-after';

/**
 * Lets pages of these origins ask in a browser (CORS), `*` being all: says so in each answer, and answers what the browser
 * asks before, which has no key. Pages of others get no leave, and no answer that they can read.
 */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.addHook('onRequest', async ({ method, headers }, reply) => {
    const {
      origin,
      'access-control-request-method': wanted,
      'access-control-request-headers': own,
    } = headers;
    reply.header('vary', 'Origin');
    if (origin === undefined || !(origins.includes(origin) || origins.includes('*'))) return;
    reply.headers({ 'access-control-allow-origin': origin, 'access-control-expose-headers': SHOWN });
    if (method !== 'OPTIONS' || wanted === undefined) return;
    // Clients send headers of their own, and more with each version.
    if (own !== undefined) reply.header('access-control-allow-headers', own);
    return reply
      .headers({ 'access-control-allow-methods': 'GET, POST', 'access-control-max-age': MAX_AGE_S })
      .status(204)
      .send();
  });
}
