import { refuseRequest } from '../errors.js';
import { type EncoderInput, type Insert, type ShownThing, shownThings } from '../media/index.js';
import type { Batch, BatchEntry, StepSequence } from '../scheduler/batch.js';
import type { EncoderPlace, ShownPlace } from '../step-inputs/index.js';

type Entry = BatchEntry<StepSequence>;

/** Two pictures in two turns take four places: of each, and of both for tokens before them. */
const LEAST_SHOWN_PLACES = 4;

/** Places for so many sequences that run at once. */
export const shownPlacesFor = (sequences: number): number => Math.max(sequences, LEAST_SHOWN_PLACES);

/** A name of what an encoder makes of things that are kept together: equal names, equal rows. */
const nameOf = ({ parts }: ShownThing): string => parts.map(({ input: { key } }) => key.join(' ')).join(' ');

const isSeen = ({ from, to }: ShownThing, { start, count }: Pick<Entry, 'start' | 'count'>): boolean =>
  from < to && from < start + count && to > start;

/** How many places things take, each of them once. */
const placesFor = (things: readonly ShownThing[]): number =>
  [...new Map(things.map((thing) => [nameOf(thing), thing.parts.length])).values()].reduce(
    (a, b) => a + b,
    0,
  );

/** What tokens of an entry see. */
const seenBy = ({ sequence, ...tokens }: Entry): ShownThing[] =>
  shownThings(sequence.inserts[0]).filter((thing) => isSeen(thing, tokens));

/**
 * Which places of the caches of what encoders gave have which things. Places belong to things, not to sequences: who
 * shows the same picture shares one, and a sequence that was preempted or that begins like another finds its own again.
 * Things that are seen together lie together, in as many places. What was used least recently gives way; whoever needs
 * it later has it encoded anew, to the same bits.
 */
export class ShownPlaces {
  /** Least recently used first. */
  readonly #places = new Map<string, ShownPlace>();

  /** `count`: things that fit. */
  constructor(private readonly count: number) {}

  /** @throws REQUEST_INVALID for a prompt that shows more than fits at once */
  check(inserts: readonly Insert[], tokens: number): void {
    const things = shownThings(inserts[0]).filter((thing) => isSeen(thing, { start: 0, count: tokens }));
    const wanted = placesFor(things);
    if (wanted > this.count)
      refuseRequest(
        'prompt',
        `pictures that take at most ${this.count} places, as many as sequences may run at once, but at least ` +
          `${LEAST_SHOWN_PLACES} (a larger maxBatchSize gives more)`,
        `${wanted} places`,
      );
  }

  /** A batch in such parts that what each of them shows has a place. */
  split(batch: Batch<StepSequence>): Batch<StepSequence>[] {
    const parts: Entry[][] = [[]];
    let things: ShownThing[] = [];
    for (const entry of batch.entries) {
      const seen = seenBy(entry);
      things.push(...seen);
      if (placesFor(things) > this.count && parts.at(-1)?.length) {
        parts.push([]);
        things = seen;
      }
      parts.at(-1)?.push(entry);
    }
    const { copies, ...rest } = batch;
    return parts.map((entries, at) => ({ ...rest, entries, ...(at === 0 && copies && { copies }) }));
  }

  /**
   * Gives what a batch shows its places, and has `encode` fill those of what is not there yet. Returns for each entry
   * the places of what its sequence shows (`shownThings`), none of what its tokens do not see.
   * @throws REQUEST_INVALID where a batch shows more things than there are places
   */
  async of(
    { entries }: Batch<StepSequence>,
    encode: (input: EncoderInput, place: EncoderPlace) => Promise<unknown>,
  ): Promise<ShownPlace[][]> {
    const wanted = new Map(entries.flatMap(seenBy).map((thing) => [nameOf(thing), thing]));
    const places = placesFor([...wanted.values()]);
    if (places > this.count)
      refuseRequest('batch', `at most ${this.count} different things that are shown`, places);
    const missing: ShownThing[] = [];
    for (const [name, thing] of wanted) {
      const place = this.#places.get(name);
      if (place === undefined) missing.push(thing);
      else this.#use(name, place);
    }
    for (const thing of missing) {
      const place = this.#free(thing.parts.length, wanted);
      const inputs = thing.parts.map(({ input }) => input);
      for (const [index, input] of inputs.entries()) await encode(input, { place, inputs, index });
      this.#use(nameOf(thing), place);
    }
    return entries.map((entry) =>
      shownThings(entry.sequence.inserts[0]).map((thing) =>
        isSeen(thing, entry) ? (this.#places.get(nameOf(thing)) ?? []) : [],
      ),
    );
  }

  #use(name: string, place: ShownPlace): void {
    this.#places.delete(name);
    this.#places.set(name, place);
  }

  /** So many places that nothing has, for which what was used least recently and is not wanted gives way. */
  #free(count: number, wanted: ReadonlyMap<string, ShownThing>): ShownPlace {
    const unwanted = [...this.#places.keys()].filter((name) => !wanted.has(name));
    for (;;) {
      const taken = new Set([...this.#places.values()].flat());
      const free = Array.from({ length: this.count }, (_, place) => place).filter(
        (place) => !taken.has(place),
      );
      if (free.length >= count) return free.slice(0, count);
      const name = unwanted.shift();
      if (name === undefined) throw new RangeError('a batch shows more things than there are places');
      this.#places.delete(name);
    }
  }
}
