import type { FastifyInstance, FastifyRequest } from 'fastify';
import { nearestName } from '../nearest-name.js';
import { HttpError } from './http-error.js';

/** Names that mean the same differ by an ending. */
const MAX_LENGTHS_APART = 2;

/** Answers requests for paths that there are not, and by methods that a path has not, before their bodies are read. */
export function refuseUnknownPaths(app: FastifyInstance): void {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    methods.set(url, known);
    for (const one of [method].flat()) known.add(one);
  });
  app.addHook('onRequest', async (request) => {
    if (request.is404) throw refusal(request, methods);
  });
  // Of files that a path with a star has not.
  app.setNotFoundHandler((request) => {
    throw refusal(request, methods);
  });
}

function refusal(
  { method, url, headers }: FastifyRequest,
  methods: ReadonlyMap<string, ReadonlySet<string>>,
): HttpError {
  const path = (url.split('?', 1)[0] as string).replace(/\/+/g, '/').replace(/(?<=.)\/$/, '');
  const allowed = methods.get(path) ?? methodsOfStar(path, method, methods);
  const kind = 'invalid_request_error';
  if (allowed !== undefined) {
    const allow = [...allowed].join(', ');
    const isPage = headers['access-control-request-method'] !== undefined;
    const leave = isPage ? ': pages of other origins may ask with serve --allow_origin' : '';
    const message = `${path} is asked by ${allow}, not by ${method}${leave}`;
    return new HttpError(405, message, kind, 'method_not_allowed', null, undefined, allow);
  }
  const likely = [`/v1${path}`, path.replace('/v1/v1/', '/v1/')].find((other) => methods.has(other));
  const nearest = likely ?? nearestSibling(path, methods.keys());
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`;
  return new HttpError(404, `there is no ${method} ${path.slice(0, 200)}${hint}`, kind);
}

/** Methods of a path that ends in a star, as that of a model by its name, if it has another than this. */
function methodsOfStar(
  path: string,
  method: string,
  methods: ReadonlyMap<string, ReadonlySet<string>>,
): ReadonlySet<string> | undefined {
  for (const [known, allowed] of methods)
    if (known.endsWith('/*') && path.startsWith(known.slice(0, -1)) && !allowed.has(method)) return allowed;
  return undefined;
}

/** The path that differs in its last part alone, and there in little. */
function nearestSibling(path: string, known: Iterable<string>): string | undefined {
  const split = (one: string): [parent: string, name: string] => {
    const at = one.lastIndexOf('/') + 1;
    return [one.slice(0, at), one.slice(at)];
  };
  const [parent, name] = split(path);
  const names = Array.from(known, split).flatMap(([other, last]) => (other === parent ? [last] : []));
  const nearest = nearestName(name, names);
  const isLike = nearest !== undefined && Math.abs(nearest.length - name.length) <= MAX_LENGTHS_APART;
  return isLike ? parent + nearest : undefined;
}
