import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { describeValue } from '../describe-value.js';
import { HttpError, invalidRequest } from './http-error.js';

/** Paths that say whether the server lives, or what it takes; and the page, which asks for a key itself. */
const OPEN = /^(?:\/|\/health(?:\/live|\/ready)?|\/openapi\.json|\/docs(?:\/.*)?)$/;

/** Load balancers ask them by HTTP/1.0, which needs no host. */
const HEALTH = /^\/health\b/;

const NOT_LOCAL =
  'without --api_key a request must name this machine as its host, by localhost or an address';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Lets in who has one of the keys, as `Authorization: Bearer KEY` or `x-api-key`. Without keys, only requests that name
 * this machine as their host: a page in a browser could otherwise reach the server under a name of its own.
 */
export function guardAccess(app: FastifyInstance, keys: readonly string[]): void {
  const digests = keys.map(digest);
  app.addHook('onRequest', async (request, reply) => {
    // OpenAI's clients look for the one, Anthropic's for the other.
    reply.headers({ 'x-request-id': request.id, 'request-id': request.id });
    if (!saysOneHost(request)) throw invalidRequest('a request must name one host, and a path');
    if (digests.length === 0) {
      const { host } = request.headers;
      const isCheck = host === undefined && HEALTH.test(request.routeOptions.url ?? '');
      if (!isCheck && !isLocalName(request.hostname))
        throw new HttpError(403, `${NOT_LOCAL}, found ${describeValue(host)}`, 'permission_error');
      return;
    }
    if (request.routeOptions.url !== undefined && OPEN.test(request.routeOptions.url)) return;
    const key = keyOf(request);
    const given = digest(key ?? '');
    // All are compared, each in constant time.
    const fits = digests.filter((known) => timingSafeEqual(known, given)).length > 0;
    if (key === undefined || !fits)
      throw new HttpError(401, 'a valid API key is needed', 'authentication_error', 'invalid_api_key');
  });
}

const named = z.object({
  user: z.string().nullish(),
  metadata: z.object({ user_id: z.string().nullish() }).nullish(),
});

/** Whose requests are whose. Names are digests: no secrets, and short. */
export class Clients {
  readonly #hasSeveralKeys: boolean;

  /** Of a server with these keys. */
  constructor(keys: readonly string[]) {
    this.#hasSeveralKeys = keys.length > 1;
  }

  /** By its key where there are several; users of one key are not told apart, as they could call themselves anything. */
  tenantOf(request: FastifyRequest): string {
    return this.#hasSeveralKeys ? nameOf(keyOf(request) ?? '') : '';
  }

  /** By its key where there are several; else by the `user` that it names, or Anthropic's `metadata.user_id`. */
  of(request: FastifyRequest): string | undefined {
    if (this.#hasSeveralKeys) return this.tenantOf(request);
    const { data } = named.safeParse(request.body);
    const user = data?.user ?? data?.metadata?.user_id;
    return user ? nameOf(user) : undefined;
  }
}

const nameOf = (text: string): string => digest(text).toString('hex').slice(0, 16);

function keyOf({ headers }: FastifyRequest): string | undefined {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
  const own = headers['x-api-key'];
  return bearer ?? (typeof own === 'string' && own !== '' ? own : undefined);
}

/** Another host in a second header, or in the path, would be somebody else's to choose. HTTP/1.0 needs none. */
function saysOneHost({ raw: { rawHeaders, url = '', httpVersion } }: FastifyRequest): boolean {
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host');
  return hosts.length <= 1 && (hosts.length === 1 || httpVersion === '1.0') && url.startsWith('/');
}

function isLocalName(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0;
}
