import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  connection: 'keep-alive',
  // nginx would collect the events otherwise.
  'x-accel-buffering': 'no',
};
/** A reader that takes nothing for so long is gone. */
const STALLED_MS = 30_000;

/** Server-sent events, as fast as the reader takes them: `send` waits while the connection's buffer is full. */
export class EventStream {
  readonly #response: ServerResponse;

  constructor(reply: FastifyReply) {
    reply.hijack();
    this.#response = reply.raw;
    this.#response.writeHead(200, { ...HEADERS, ...stringHeaders(reply) });
  }

  /** @throws when the reader is gone, or takes nothing for 30 seconds */
  async send(data: unknown, event?: string): Promise<void> {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    await this.#write(`${event === undefined ? '' : `event: ${event}\n`}data: ${text}\n\n`);
  }

  end(): void {
    this.#response.end();
  }

  async #write(text: string): Promise<void> {
    const response = this.#response;
    if (response.destroyed) throw new Error('the reader is gone');
    if (response.write(text)) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error): void => {
        clearTimeout(timer);
        response.off('drain', onDrain).off('close', onClose);
        if (error) reject(error);
        else resolve();
      };
      const onDrain = (): void => settle();
      const onClose = (): void => settle(new Error('the reader is gone'));
      const timer = setTimeout(() => {
        response.destroy();
        settle(new Error('the reader takes nothing'));
      }, STALLED_MS);
      response.once('drain', onDrain).once('close', onClose);
    });
  }
}

/** Headers that hooks have set. */
function stringHeaders(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
}
