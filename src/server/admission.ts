import type { FastifyReply } from 'fastify';
import type { Clients } from './access.js';
import { clientGone, HttpError, unavailable } from './http-error.js';

/**
 * Says who may come in. Those who wait make everybody wait, so only as many as will start soon are let in, and the others
 * are told at once to come back. A tenant that holds less than an equal part of the room gets in although others have
 * filled it.
 */
export class Admission {
  readonly #capacity: number;
  readonly #whenEmpty: (() => void)[] = [];
  #inside = 0;
  /** Of each tenant. */
  readonly #held = new Map<string, number>();
  #isDraining = false;

  /** @param capacity answers that run or wait at once. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get inside(): number {
    return this.#inside;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /**
   * Lets a request of a tenant in that wants so many answers, and returns what lets it out; of no effect a second time.
   * @throws HttpError 429 when there is no room, 503 when the server is stopping
   */
  enter(answers: number, tenant = ''): () => void {
    if (this.#isDraining) throw unavailable('the server is stopping');
    // A request larger than all there is would never come in.
    const isFull = this.#inside > 0 && this.#inside + answers > this.#capacity;
    if (isFull && !this.#isBelowShare(answers, tenant)) {
      const message = `${this.#inside} answers are being written, and ${this.#capacity} at most: try again later`;
      throw new HttpError(429, message, 'rate_limit_error', 'rate_limit_exceeded', null, 1);
    }
    this.#count(answers, tenant);
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.#count(-answers, tenant);
      if (this.#inside === 0) for (const tell of this.#whenEmpty.splice(0)) tell();
    };
  }

  /** Whether others have filled the room, and this tenant would hold no more than they may in the end. */
  #isBelowShare(answers: number, tenant: string): boolean {
    const held = this.#held.get(tenant) ?? 0;
    const tenants = this.#held.size + (held > 0 ? 0 : 1);
    return tenants > 1 && held + answers <= Math.floor(this.#capacity / tenants);
  }

  #count(answers: number, tenant: string): void {
    this.#inside += answers;
    const held = (this.#held.get(tenant) ?? 0) + answers;
    if (held > 0) this.#held.set(tenant, held);
    else this.#held.delete(tenant);
  }

  /** Lets nobody in any more, and waits until all are out, or for so long. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#inside === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      new Promise<void>((resolve) => this.#whenEmpty.push(resolve)),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      }),
    ]);
    clearTimeout(timer);
  }
}

/** Lets a request in, calls `use`, whose work the controller ends when the client is gone, and lets it out. */
export async function whileInside<T>(
  { admission, clients }: { readonly admission: Admission; readonly clients: Clients },
  reply: FastifyReply,
  answers: number,
  use: (controller: AbortController) => Promise<T>,
): Promise<T> {
  const leave = admission.enter(answers, clients.tenantOf(reply.request));
  const controller = new AbortController();
  const onClose = (): void => controller.abort(clientGone());
  reply.raw.once('close', onClose);
  try {
    return await use(controller);
  } finally {
    reply.raw.off('close', onClose);
    controller.abort(new Error('the request is over'));
    leave();
  }
}
