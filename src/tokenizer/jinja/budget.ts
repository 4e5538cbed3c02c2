/** Evaluations of one rendering; ten messages take some thousands. */
const MAX_STEPS = 1_000_000;
/** Characters of any string, the output included. */
export const MAX_STRING_LEN = 16 * 2 ** 20;
/** Items of a list that a template makes, of a range, of a loop; Python's sandbox has the same for ranges. */
export const MAX_ITEMS = 100_000;
/** Evaluations inside one another: the syntax tree's depth, and macros that call macros. */
const MAX_DEPTH = 400;
/** Everything that is made, in characters, on top of what the input allows for. */
const BASE_VOLUME = 32 * 2 ** 20;
const VOLUME_PER_INPUT = 64;
/** What an item of a list costs in memory, in characters. */
const ITEM_VOLUME = 64;

/** A limit that was passed: what, and how much was allowed. */
export class TemplateExcess extends Error {
  constructor(
    readonly what: string,
    readonly limit: number,
  ) {
    super(`more than ${limit} ${what}`);
  }
}

/**
 * What one rendering may use. Whoever makes a string or a list announces its size before it is made, so neither time
 * nor memory runs away, whatever a template does.
 */
export class Budget {
  #stepsLeft = MAX_STEPS;
  #volumeLeft: number;
  #depth = 0;

  /** `inputSize`: characters of everything that the template is given. */
  constructor(inputSize: number) {
    this.#volumeLeft = BASE_VOLUME + VOLUME_PER_INPUT * inputSize;
  }

  spend(steps: number): void {
    this.#stepsLeft -= steps;
    if (!(this.#stepsLeft >= 0)) throw new TemplateExcess('steps', MAX_STEPS);
  }

  /** Before a string of so many characters is made. */
  payString(len: number): void {
    if (!(len <= MAX_STRING_LEN)) throw new TemplateExcess('characters of a string', MAX_STRING_LEN);
    this.#pay(len);
  }

  /** Before a list, mapping or loop of so many items is made. */
  payItems(count: number): void {
    if (!(count <= MAX_ITEMS)) throw new TemplateExcess('items of a list', MAX_ITEMS);
    this.#pay(ITEM_VOLUME * count);
    this.spend(count);
  }

  /** Runs something one level deeper. */
  nested<T>(run: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new TemplateExcess('evaluations inside one another', MAX_DEPTH);
    try {
      return run();
    } finally {
      this.#depth--;
    }
  }

  #pay(volume: number): void {
    this.#volumeLeft -= volume;
    if (!(this.#volumeLeft >= 0)) throw new TemplateExcess('characters made in all', BASE_VOLUME);
  }
}
