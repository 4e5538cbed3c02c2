import type { FastifyBaseLogger } from 'fastify';
import { describeValue } from '../describe-value.js';
import { AtbError, type ErrorCode } from '../errors.js';

/** A request that is answered with an error. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** As OpenAI names kinds of errors: `invalid_request_error`, `rate_limit_error`, … */
    readonly type: string,
    readonly code: string | null = null,
    /** The field at fault. */
    readonly param: string | null = null,
    /** Seconds after which another try makes sense. */
    readonly retryAfter?: number,
    /** Methods of the path, where it has another than the request's. */
    readonly allow?: string,
  ) {
    super(message);
  }
}

export const invalidRequest = (
  message: string,
  param: string | null = null,
  code: string | null = null,
): HttpError => new HttpError(400, message, 'invalid_request_error', code, param);

/** Codes of errors that the request itself is to blame for, with the code that clients know them by. */
const OF_REQUESTS: Partial<Record<ErrorCode, string | null>> = {
  REQUEST_TOO_LONG: 'context_length_exceeded',
  CACHE_TOO_SMALL: 'context_length_exceeded',
  TEMPLATE_MISSING: null,
  TEMPLATE_REFUSED: null,
  TEMPLATE_LIMIT: null,
  TEMPLATE_FAILED: null,
  TOKENIZER_TOO_SLOW: null,
  TOKENIZER_CRASHED: null,
  GUIDE_INVALID: 'invalid_schema',
  GUIDE_UNSUPPORTED: 'invalid_schema',
  GUIDE_TOO_LARGE: 'invalid_schema',
  GUIDE_NO_ROOM: null,
  GUIDE_STUCK: 'invalid_schema',
  MEDIA_INVALID: null,
  MEDIA_UNSUPPORTED: null,
  MEDIA_TOO_LARGE: null,
  MEDIA_DECODER_MISSING: null,
  OPTION_UNSUPPORTED: null,
};

/** The library's name of a field as requests have it: `maxTokens` is `max_tokens`. */
const fieldOf = (field: string): string =>
  field.replace(/^texts\b/, 'input').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Its message, with files by their names alone: clients need not know where on this machine they lie. */
function withoutFolders({ code, detail }: AtbError): string {
  const nameOf = (text: unknown): unknown => String(text).replace(/\S*[\\/](?=[^\\/\s]+$)/, '');
  const named = Object.entries(detail).map(([field, value]) => {
    if (field === 'source' || field === 'file') return [field, nameOf(value)];
    return [field, field === 'looked' ? (value as unknown[]).map(nameOf) : value];
  });
  return new AtbError(code, Object.fromEntries(named)).message;
}

/** What was thrown, as an answer. What nobody expected says no more than that. */
export function httpErrorOf(thrown: unknown): HttpError {
  if (thrown instanceof HttpError) return thrown;
  if (thrown instanceof AtbError) {
    const { message, cause } = thrown;
    const code: ErrorCode = thrown.code;
    if (code === 'REQUEST_INVALID') {
      const { detail } = thrown as AtbError<'REQUEST_INVALID'>;
      const field = fieldOf(detail.field);
      const expected = detail.expected.replace(/\b(?:max|min)[A-Z][A-Za-z]+\b/g, fieldOf);
      const { message } = new AtbError('REQUEST_INVALID', { ...detail, expected, field });
      const param = field.replace(/^the key of /, '');
      // What is no field has words.
      return invalidRequest(message, param.includes(' ') ? null : param);
    }
    if (Object.hasOwn(OF_REQUESTS, code))
      return invalidRequest(withoutFolders(thrown), null, OF_REQUESTS[code] ?? null);
    if (code === 'REQUEST_ABORTED' && cause !== undefined && cause !== thrown) return httpErrorOf(cause);
    if (code === 'REQUEST_TIMEOUT') return new HttpError(408, message, 'timeout_error', 'timeout');
    if (code === 'ENGINE_DISPOSED') return unavailable('the server is stopping');
  }
  const { statusCode, message } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as {
    statusCode?: unknown;
    message?: unknown;
  };
  // What Fastify found wrong with the request before anybody read it.
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return new HttpError(statusCode, String(message), 'invalid_request_error');
  return new HttpError(500, 'the server failed; its log says more', 'server_error');
}

/** The same, after the log has heard of what is the server's own fault, and of clients that are gone. */
export function reportedError(thrown: unknown, log: FastifyBaseLogger): HttpError {
  const found = httpErrorOf(thrown);
  if (found.status === 500) log.error({ err: thrown });
  else if (found.status === GONE) log.info(found.message);
  return found;
}

/** What a log has of an error. Its details may be texts of prompts and answers, which no log may have. */
export function loggedError(thrown: unknown): { type: string; message: string; stack: string } {
  try {
    if (!(thrown instanceof Error)) return { type: typeof thrown, message: describeValue(thrown), stack: '' };
    const { name, message, stack = '', cause } = thrown;
    const origin = cause instanceof Error ? `\ncaused by: ${loggedError(cause).stack}` : '';
    return { type: name, message, stack: stack + origin };
  } catch {
    // Looking at a foreign object may throw as well.
    return { type: typeof thrown, message: 'an error that cannot be read', stack: '' };
  }
}

/** nginx's status for requests whose clients wait no more. Nobody reads it. */
const GONE = 499;
export const clientGone = (what = 'the client is gone'): HttpError =>
  new HttpError(GONE, what, 'client_closed_request');

export const unavailable = (message: string): HttpError =>
  new HttpError(503, message, 'server_error', 'unavailable', null, 5);

/** An error in the shape that OpenAI's clients read. */
export function openAiError({ message, type, param, code }: HttpError): object {
  return { error: { message, type, param, code } };
}
