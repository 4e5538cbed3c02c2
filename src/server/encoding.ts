import type { FastifyReply } from 'fastify';
import { AtbError } from '../errors.js';
import { whileInside } from './admission.js';
import type { ServerContext } from './openai/answers.js';

/** One call of a model that embeds or ranks: let in, ended when the client is gone or time is up, and counted. */
export function encoding<T extends readonly { readonly tokens: number }[]>(
  context: ServerContext,
  reply: FastifyReply,
  name: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { metrics, requestTimeoutMs } = context;
  return whileInside(context, reply, 1, async (controller) => {
    const timeout = new AtbError('REQUEST_TIMEOUT', { timeoutMs: requestTimeoutMs });
    const timer = setTimeout(() => controller.abort(timeout), requestTimeoutMs);
    try {
      return await metrics.measure(name, work(controller.signal));
    } finally {
      clearTimeout(timer);
    }
  });
}
