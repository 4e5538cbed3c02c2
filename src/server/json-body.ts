import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isObject } from '../is-object.js';
import { endOfString, spellNumbers } from '../tokenizer/written-numbers.js';
import { HttpError, invalidRequest } from './http-error.js';

/** Tools and schemas nest a dozen levels; deeper ones only take time. */
const MAX_DEPTH = 128;

/** Reads bodies as JSON, which is UTF-8 whatever their media type says of charsets: bounded in depth, without keys that harm. */
export function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request, _, done) => done(otherType(request)));
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json\b/i,
    { parseAs: 'buffer' },
    (request, body, done) => {
      const { 'content-encoding': encoding } = request.headers;
      if (encoding !== undefined && encoding !== 'identity')
        return done(new HttpError(415, 'bodies must not be compressed', 'invalid_request_error'));
      const text = textOf(body as Buffer);
      if (text === undefined) return done(invalidRequest('the body is no text in UTF-8'));
      if (depthOf(text) > MAX_DEPTH)
        return done(invalidRequest(`the body is nested more than ${MAX_DEPTH} levels deep`));
      const { spelt, restored } = spellNumbers(text);
      void parse(request, spelt, (error, value) => {
        if (error && parses(spelt))
          done(
            invalidRequest(
              'the body has a key __proto__, or constructor with a prototype, which are not read',
            ),
          );
        else if (error) done(invalidRequest(`the body is no JSON: ${faultOf(text)}`));
        else if (!isObject(value)) done(invalidRequest('the body must be a JSON object'));
        else done(null, restored(value));
      });
    },
  );
}

/** Without a byte order mark; undefined: some of its bytes are no UTF-8, and would be read as other letters. */
function textOf(body: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return undefined;
  }
}

const otherType = ({ headers }: FastifyRequest): HttpError => {
  const found = JSON.stringify(headers['content-type'] ?? 'none');
  return new HttpError(415, `content-type must be application/json, found ${found}`, 'invalid_request_error');
};

/** What Fastify says of bodies before a parser of ours has them, in the words of the rest; undefined of other errors. */
export function refusedBody(error: unknown, request: FastifyRequest): HttpError | undefined {
  const { code } = error as { code?: unknown };
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return otherType(request);
  if (code !== 'FST_ERR_CTP_BODY_TOO_LARGE') return undefined;
  const { bodyLimit } = request.server.initialConfig;
  const message = `the body has more than ${bodyLimit} bytes; serve --max_body 64MiB lets larger ones in`;
  return new HttpError(413, message, 'invalid_request_error');
}

/**
 * Sends an error of a request whose body was perhaps not read. Fastify ends such connections, and one that ends with bytes
 * unread takes the answer away from a client that still sends. So the answer does not end before the body does, which is
 * read and forgotten, for as long as a request may come.
 */
export function sendBesideBody(error: object, { raw }: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (reply.getHeader('connection') !== 'close' || raw.complete)
    return reply.removeHeader('connection').send(error);
  const text = JSON.stringify(error);
  const answer = async function* (): AsyncGenerator<string, void, undefined> {
    yield text;
    await finished(raw.resume()).catch(() => {});
  };
  return reply
    .headers({ 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) })
    .send(Readable.from(answer()));
}

/** Where a text ceases to be JSON, as V8 says it. */
function faultOf(text: string): string {
  if (text.trim() === '') return 'it is empty';
  try {
    JSON.parse(text);
    return 'its numbers cannot be read';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Whether a text is JSON. */
function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** How deep brackets outside strings are nested, counted before anything is made of them. */
function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = endOfString(text, at);
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x5d || code === 0x7d) depth--;
  }
  return deepest;
}
