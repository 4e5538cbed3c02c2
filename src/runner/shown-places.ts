import { refuseRequest } from '../errors.js';
import type { EncoderInput, Insert } from '../media/index.js';
import type { Batch, StepSequence } from '../scheduler/batch.js';

/** A name of what an encoder makes of a thing: equal names, equal rows. */
const nameOf = ({ key }: EncoderInput): string => key.join(' ');

/**
 * Which place of the caches of what encoders gave has which thing. Places belong to things, not to sequences: who shows
 * the same picture shares one, and a sequence that was preempted or that begins like another finds its own again. What
 * was used least recently gives way; whoever needs it later has it encoded anew, to the same bits.
 */
export class ShownPlaces {
  /** Least recently used first. */
  readonly #places = new Map<string, number>();

  /** `count`: things that fit; a step may show as many. */
  constructor(private readonly count: number) {}

  /**
   * Gives what a batch shows its places, and has `encode` fill those of what is not there yet. Returns the place of
   * each entry's sequence.
   * @throws REQUEST_INVALID where a batch shows more things than there are places
   */
  async of(
    { entries }: Batch<StepSequence>,
    encode: (inputs: readonly EncoderInput[], places: readonly number[]) => Promise<unknown>,
  ): Promise<(number | undefined)[]> {
    const shown = entries.map(({ sequence }) => sequence.inserts[0]);
    const wanted = new Map(
      shown
        .filter((insert): insert is Insert => insert !== undefined)
        .map(({ input }) => [nameOf(input), input]),
    );
    if (wanted.size > this.count)
      refuseRequest('batch', `at most ${this.count} different things that are shown`, wanted.size);
    const missing: EncoderInput[] = [];
    for (const [name, input] of wanted) {
      const place = this.#places.get(name);
      if (place === undefined) missing.push(input);
      else this.#use(name, place);
    }
    for (const input of missing) {
      const place = this.#free(wanted);
      await encode([input], [place]);
      this.#use(nameOf(input), place);
    }
    return shown.map((insert) => insert && this.#places.get(nameOf(insert.input)));
  }

  #use(name: string, place: number): void {
    this.#places.delete(name);
    this.#places.set(name, place);
  }

  /** A place that nothing has, or that which was used least recently by something that is not wanted. */
  #free(wanted: ReadonlyMap<string, EncoderInput>): number {
    if (this.#places.size < this.count) {
      const taken = new Set(this.#places.values());
      for (let place = 0; ; place++) if (!taken.has(place)) return place;
    }
    for (const [name, place] of this.#places) {
      if (wanted.has(name)) continue;
      this.#places.delete(name);
      return place;
    }
    throw new RangeError('a batch shows more things than there are places');
  }
}
