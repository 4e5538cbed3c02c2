/** What tokens cost: one of a prompt is computed beside many others, a new one takes a step (the weights of the paper). */
const PROMPT_TOKEN = 1;
const NEW_TOKEN = 2;

/**
 * How much each client has been served, in weighted tokens: among requests of one rank, those of the client that has had
 * least start first (virtual token counters: Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024). A client
 * that comes when others are there begins where the least served of them is: nobody saves up what he did not ask for. One
 * whose last sequence has ended is forgotten.
 */
export class FairShare {
  readonly #clients = new Map<string, { served: number; sequences: number }>();

  /** A sequence of this client has come. */
  enter(client: string): void {
    const known = this.#clients.get(client);
    if (known) known.sequences++;
    else this.#clients.set(client, { served: this.#least(), sequences: 1 });
  }

  /** One of its sequences has ended. */
  leave(client: string): void {
    const known = this.#clients.get(client);
    if (known && --known.sequences === 0) this.#clients.delete(client);
  }

  /** Tokens of a prompt are going to be computed. */
  chargePrompt(client: string, tokens: number): void {
    this.#charge(client, PROMPT_TOKEN * tokens);
  }

  /** A token has been generated. */
  chargeNew(client: string): void {
    this.#charge(client, NEW_TOKEN);
  }

  servedOf(client: string): number {
    return this.#clients.get(client)?.served ?? 0;
  }

  #charge(client: string, cost: number): void {
    const known = this.#clients.get(client);
    if (known) known.served += cost;
  }

  #least(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { served } of this.#clients.values()) least = Math.min(least, served);
    return Number.isFinite(least) ? least : 0;
  }
}
