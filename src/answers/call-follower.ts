import { type AnswerEvent, callEvents, type ToolCall } from './answer-event.js';
import { isJsonObject } from './is-json-object.js';
import { JsonNesting } from './json-nesting.js';

/** Finds calls as they are written: the name of each, then its arguments, piece by piece. */
export interface CallFollower {
  take(text: string): AnswerEvent[];
  /** All has come. */
  end(): AnswerEvent[];
  /** The calls that have started, which are the first ones of what is written, with their arguments so far. */
  readonly calls: readonly ToolCall[];
}

/** What ends the events of a follower when all is there: `calls`, or none where it cannot be read and is `text`. */
export function settled(
  calls: readonly ToolCall[] | undefined,
  started: readonly ToolCall[],
  text: string,
): AnswerEvent[] {
  // A call that was cut within a value may read as one without it.
  const areWhole = started.every((call) => isJsonObject(call.arguments));
  if (calls !== undefined && calls.length >= started.length && areWhole)
    return calls.flatMap((call, i) => {
      const known = started[i];
      return known ? [{ kind: 'tool-call', call: { ...call, ...known } }] : callEvents(call);
    });
  if (started.length > 0) return [{ kind: 'call-failed', text }];
  return text === '' ? [] : [{ kind: 'text', text }];
}

/** Of formats that show nothing of a call before it is complete. */
export const NO_FOLLOWER: CallFollower = { take: () => [], end: () => [], calls: [] };

/** What followers share: the events of the calls that they find. */
export abstract class Follower implements CallFollower {
  readonly calls: { name: string; id?: string; arguments: string }[] = [];
  protected readonly nesting = new JsonNesting();
  #events: AnswerEvent[] = [];
  #arguments = '';

  take(text: string): AnswerEvent[] {
    for (const letter of text) this.follow(letter);
    return this.#taken();
  }

  end(): AnswerEvent[] {
    this.finish();
    return this.#taken();
  }

  protected abstract follow(letter: string): void;

  /** Adds what only the end of all makes certain. */
  protected finish(): void {}

  protected start(name: string, id?: string): void {
    this.#tell();
    const call = { name, ...(id !== undefined && { id }) };
    this.calls.push({ ...call, arguments: '' });
    this.#events.push({ kind: 'call-start', ...call });
  }

  protected add(text: string): void {
    this.#arguments += text;
  }

  #taken(): AnswerEvent[] {
    this.#tell();
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #tell(): void {
    const call = this.calls.at(-1);
    if (call === undefined || this.#arguments === '') return;
    call.arguments += this.#arguments;
    this.#events.push({ kind: 'call-arguments', text: this.#arguments });
    this.#arguments = '';
  }
}

const NAMES: readonly unknown[] = ['name', 'tool_name'];
const ARGUMENTS: readonly unknown[] = ['arguments', 'parameters'];

/**
 * Calls as JSON, one, a list or one after another: `{"name": …, "arguments": {…}}`. Of one whose arguments stand before
 * its name, or are no object, and of all behind it nothing is certain before all is there.
 */
export class JsonFollower extends Follower {
  #state: 'between' | 'members' | 'arguments' | 'told' | 'off' = 'between';
  /** Within the object of a call. */
  #depth = 0;
  /** What stands of a member, without what is nested in it. */
  #member = '';
  #key: unknown;
  #name: unknown;
  /** What may stand before the first call, as far as it has not come. */
  #lead: string;

  constructor(lead = '') {
    super();
    this.#lead = lead;
  }

  protected follow(letter: string): void {
    if (this.#state === 'off') return;
    const { isInString, depth } = this.nesting;
    this.nesting.take(letter);
    if (this.#state === 'between') this.#between(letter);
    else if (this.#state === 'arguments') {
      if (isInString || letter.trim() !== '') this.add(letter);
      if (this.nesting.depth === this.#depth) this.#state = 'told';
    } else if (this.nesting.depth < this.#depth) this.#state = this.#state === 'told' ? 'between' : 'off';
    else if (this.#state === 'members') this.#members(letter, isInString, this.nesting.depth > depth);
  }

  #between(letter: string): void {
    if (letter === this.#lead[0]) this.#lead = this.#lead.slice(1);
    else if (letter === '{') {
      this.#state = 'members';
      this.#depth = this.nesting.depth;
      this.#member = '';
      this.#key = undefined;
      this.#name = undefined;
    } else if (!/[\s[\],;]/.test(letter)) this.#state = 'off';
  }

  #members(letter: string, isInString: boolean, opens: boolean): void {
    const isValue = ARGUMENTS.includes(this.#key);
    if (opens && isValue) {
      const name = this.#name;
      if (letter === '{' && typeof name === 'string' && name !== '') {
        this.start(name);
        this.add(letter);
        this.#state = 'arguments';
      } else this.#state = 'off';
    } else if (this.nesting.depth > this.#depth) return;
    else if (!isInString && letter === ':' && this.#key === undefined) this.#key = this.#taken();
    else if (!isInString && letter === ',') {
      const value = NAMES.includes(this.#key) ? this.#taken() : undefined;
      this.#name ??= value;
      this.#key = undefined;
      this.#member = '';
      if (isValue) this.#state = 'off';
    } else this.#member += letter;
  }

  /** The member so far, as JSON. */
  #taken(): unknown {
    const member = this.#member;
    this.#member = '';
    try {
      return JSON.parse(member);
    } catch {
      this.#state = 'off';
      return undefined;
    }
  }
}

/** What is written is the arguments of a call of `name`. */
export function followArguments(name: string): CallFollower {
  const follower = new JsonFollower();
  follower.take(`{"name":${JSON.stringify(name)},"arguments":`);
  return follower;
}

/**
 * Calls as a name, then its arguments as they are written: `head` matches what stands before these, with its groups `name`,
 * unless that is known, and maybe `id`.
 */
export class HeadFollower extends Follower {
  readonly #pattern: RegExp;
  readonly #name: string | undefined;
  #head: string | undefined = '';
  #isOff = false;

  constructor(head: RegExp, name?: string) {
    super();
    this.#pattern = head;
    this.#name = name;
  }

  protected follow(letter: string): void {
    if (this.#isOff) return;
    if (this.#head !== undefined && letter !== '{') {
      this.#head += letter;
      return;
    }
    if (this.#head !== undefined) {
      const found = this.#pattern.exec(this.#head);
      const { name = this.#name, id } = found?.groups ?? {};
      if (found === null || name === undefined) {
        this.#isOff = true;
        return;
      }
      this.start(name, id);
      this.#head = undefined;
    }
    this.add(letter);
    this.nesting.take(letter);
    if (this.nesting.depth === 0) this.#head = '';
  }
}

/** Calls in one of several ways, which how they begin tells. */
export class ChoosingFollower implements CallFollower {
  readonly #choose: (start: string) => CallFollower | undefined;
  readonly #leads: readonly string[];
  #chosen: CallFollower | undefined;
  #start = '';

  /** `leads`: what may stand before the calls. `choose` gets what begins with no white space, until it knows. */
  constructor(choose: (start: string) => CallFollower | undefined, leads: readonly string[] = []) {
    this.#choose = choose;
    this.#leads = leads;
  }

  get calls(): readonly ToolCall[] {
    return this.#chosen?.calls ?? [];
  }

  take(text: string): AnswerEvent[] {
    if (this.#chosen !== undefined) return this.#chosen.take(text);
    this.#start += text;
    // White space tells nothing, however much of it comes.
    if (text.trim() === '') return [];
    for (let lead: string | undefined = ''; lead !== undefined; ) {
      this.#start = this.#start.slice(lead.length).trimStart();
      const start = this.#start;
      if (start === '' || this.#leads.some((one) => one !== start && one.startsWith(start))) return [];
      lead = this.#leads.find((one) => start.startsWith(one));
    }
    const start = this.#start;
    this.#chosen = this.#choose(start);
    return this.#chosen?.take(start) ?? [];
  }

  end(): AnswerEvent[] {
    return this.#chosen?.end() ?? [];
  }
}

/** Whether what begins so is JSON, where it may be calls of Python as well; undefined as long as it may be both. */
export function beginsJson(start: string): boolean | undefined {
  const [first, second] = start.replaceAll(/\s/g, '');
  if (first === undefined || (first === '[' && second === undefined)) return undefined;
  return first === '[' ? !/[A-Za-z_]/.test(second as string) : first === '{';
}
