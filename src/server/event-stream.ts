import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { clientGone, type HttpError, reportedError } from './http-error.js';

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // nginx would collect the events otherwise.
  'x-accel-buffering': 'no',
};
/** A reader that takes nothing for so long is gone. */
const STALLED_MS = 30_000;

/** Proxies and clients end streams in which nothing comes for a minute or two; a call of a tool may take longer. */
const SILENCE_MS = 15_000;
/** What readers of events leave alone. */
const COMMENT = ': still here\n\n';

/**
 * Server-sent events, as fast as the reader takes them: `send` waits while the connection's buffer is full. In a silence of
 * 15 seconds, or `silenceMs`, it says that it is still there.
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #log: FastifyReply['log'];
  readonly #silence: NodeJS.Timeout;

  constructor(reply: FastifyReply, silenceMs = SILENCE_MS) {
    reply.hijack();
    this.#response = reply.raw;
    this.#log = reply.log;
    this.#response.writeHead(200, { ...HEADERS, ...stringHeaders(reply) });
    this.#silence = setTimeout(() => this.#breakSilence(), silenceMs);
    this.#response.once('close', () => clearTimeout(this.#silence));
  }

  /** @throws when the reader is gone, or takes nothing for 30 seconds */
  async send(data: unknown, event?: string): Promise<void> {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    await this.#write(`${event === undefined ? '' : `event: ${event}\n`}data: ${text}\n\n`);
  }

  /** What has broken an answer off, for its reader. */
  errorOf(thrown: unknown): HttpError {
    return reportedError(thrown, this.#log);
  }

  end(): void {
    clearTimeout(this.#silence);
    this.#response.end();
  }

  /** A reader that has not taken what was sent needs no more. */
  #breakSilence(): void {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return;
    if (!response.writableNeedDrain) response.write(COMMENT);
    this.#silence.refresh();
  }

  async #write(text: string): Promise<void> {
    const response = this.#response;
    if (response.destroyed) throw clientGone();
    this.#silence.refresh();
    if (response.write(text)) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error): void => {
        clearTimeout(timer);
        response.off('drain', onDrain).off('close', onClose);
        if (error) reject(error);
        else resolve();
      };
      const onDrain = (): void => settle();
      const onClose = (): void => settle(clientGone());
      const timer = setTimeout(() => {
        response.destroy();
        settle(clientGone('the client reads nothing'));
      }, STALLED_MS);
      response.once('drain', onDrain).once('close', onClose);
    });
  }
}

/** Headers that hooks have set. */
function stringHeaders(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
}
