import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { HttpError, openAiError } from './http-error.js';

/** By Node.js's codes. */
const REASONS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request came too slowly'],
  HPE_HEADER_OVERFLOW: [431, 'the headers are larger than 16 KiB'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'the extensions of a chunk are too large'],
};

/** Node.js notes the answer that a connection is sending there. */
interface Sending extends Socket {
  readonly _httpMessage?: { readonly headersSent: boolean } | null;
}

/** Answers what cannot be read as HTTP, which no route and no hook sees, in the shape of all errors. */
export function refuseUnreadable(error: Error & { readonly code?: string }, socket: Sending): void {
  const { code = 'without a code' } = error;
  // In the midst of another answer this one would be part of it.
  if (code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent) {
    socket.destroy();
    return;
  }
  const [status, message] = REASONS[code] ?? [400, `the request is no HTTP (${code})`];
  const body = JSON.stringify(openAiError(new HttpError(status, message, 'invalid_request_error')));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'connection: close',
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** Answers `Expect:` with anything but 100-continue, which Node.js answers itself, in that shape, too. */
export function refuseExpectation({ headers }: IncomingMessage, response: ServerResponse): void {
  const message = `expect must be 100-continue, found ${JSON.stringify(headers.expect)}`;
  response
    .writeHead(417, { 'content-type': 'application/json; charset=utf-8', connection: 'close' })
    .end(JSON.stringify(openAiError(new HttpError(417, message, 'invalid_request_error'))));
}
