import type { AnswerEvent } from '../../answers/answer-event.js';
import type { AnswerReader } from '../../answers/answer-reader.js';
import { type CallFollower, settled } from '../../answers/call-follower.js';
import { newId } from './answers.js';
import type { ToolGuide } from './tool-guides.js';

/** Letters and digits of ids that Mistral's templates take; they raise for any other. */
const SHORT_ID = 9;

/** The answer as a whole is calls. */
export class ForcedReader implements AnswerReader {
  readonly #guide: ToolGuide;
  readonly #follower: CallFollower;
  #text = '';

  constructor(guide: ToolGuide) {
    this.#guide = guide;
    this.#follower = guide.follow();
  }

  push(text: string): AnswerEvent[] {
    this.#text += text;
    return this.#follower.take(text);
  }

  end(): AnswerEvent[] {
    return settled(this.#calls(), this.#follower.calls, this.#text);
  }

  /** None where a stop string ended it half-way. */
  #calls(): ReturnType<ToolGuide['read']> | undefined {
    try {
      return this.#guide.read(this.#text);
    } catch {
      return undefined;
    }
  }
}

interface CallOptions {
  /** Whether there may be a second one. */
  readonly mayCallSeveral: boolean;
  /** Whether they get ids as Mistral's templates demand; others take any. */
  readonly hasShortIds: boolean;
}

/** Leaves out all calls but the first, or gives them their ids. */
export class CallReader implements AnswerReader {
  readonly #reader: AnswerReader;
  readonly #options: CallOptions;
  /** Of the calls that have started, which end in the same order. */
  readonly #ids: (string | undefined)[] = [];
  #ended = 0;

  constructor(reader: AnswerReader, options: CallOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  push(text: string): AnswerEvent[] {
    return this.#reader.push(text).flatMap((event) => this.#seen(event));
  }

  end(): AnswerEvent[] {
    return this.#reader.end().flatMap((event) => this.#seen(event));
  }

  #seen(event: AnswerEvent): AnswerEvent[] {
    switch (event.kind) {
      case 'call-start': {
        const { id = this.#options.hasShortIds ? newId('').slice(0, SHORT_ID) : undefined } = event;
        this.#ids.push(id);
        return this.#isOver(this.#ids.length) ? [] : [{ ...event, ...(id !== undefined && { id }) }];
      }
      case 'call-arguments':
        return this.#isOver(this.#ids.length) ? [] : [event];
      case 'tool-call': {
        const id = this.#ids[this.#ended++];
        const call = { ...event.call, ...(id !== undefined && { id }) };
        return this.#isOver(this.#ended) ? [] : [{ ...event, call }];
      }
      case 'call-failed':
        this.#ended = this.#ids.length;
        return [event];
      default:
        return [event];
    }
  }

  #isOver(nth: number): boolean {
    return nth > 1 && !this.#options.mayCallSeveral;
  }
}
