import type { AnswerEvent } from './answer-event.js';
import type { ToolParameters } from './argument-types.js';
import { CallCollector } from './call-collector.js';
import { type CallFollower, NO_FOLLOWER, settled } from './call-follower.js';
import { firstOf, heldBack } from './marks.js';
import type { ReasoningFormat } from './reasoning-formats.js';
import type { ToolFormat } from './tool-formats.js';

export interface AnswerParserOptions {
  readonly reasoning: ReasoningFormat | undefined;
  readonly tools: ToolFormat | undefined;
  /** The text before the answer. Where it ends inside reasoning, the answer begins there. */
  readonly prompt?: string;
  /** What the tools take. */
  readonly parameters?: ToolParameters;
}

type Mode = 'text' | 'reasoning' | 'call';

/**
 * Splits an answer, piece by piece as it comes, into text, reasoning and calls of tools. What may be the beginning of a
 * mark waits for the next piece; what looks like a call and cannot be read as one is text. However an answer is cut into
 * pieces, the joined events are the same.
 */
export class AnswerParser {
  readonly #reasoning: ReasoningFormat | undefined;
  readonly #tools: ToolFormat | undefined;
  readonly #parameters: ToolParameters;
  /** Marks around answers and calls that say nothing, the line break before those that end with them. */
  readonly #silent: readonly string[];
  #mode: Mode = 'text';
  /** The call that is under way. */
  #call = new CallCollector(undefined);
  #follower: CallFollower = NO_FOLLOWER;
  #waiting = '';
  #isAtStart = true;
  /** White space after reasoning and after a call belongs to the format, not to the text. */
  #skipsSpace = false;

  constructor({ reasoning, tools, prompt = '', parameters = new Map() }: AnswerParserOptions) {
    this.#reasoning = reasoning;
    this.#tools = tools;
    this.#parameters = parameters;
    this.#silent = [reasoning?.answer, tools?.around].flatMap((marks) =>
      marks ? [marks.begin, `\n${marks.end}`, marks.end] : [],
    );
    if (reasoning !== undefined && opensReasoning(prompt, reasoning)) this.#mode = 'reasoning';
  }

  push(piece: string): AnswerEvent[] {
    this.#waiting += piece;
    const events: AnswerEvent[] = [];
    while (this.#step(events));
    return events;
  }

  /** What was held back. The answer is over. */
  end(): AnswerEvent[] {
    const rest = this.#waiting;
    this.#waiting = '';
    if (this.#mode === 'reasoning') return rest === '' ? [] : [{ kind: 'reasoning', text: rest }];
    if (this.#mode === 'call') return this.#callsOf(this.#call.body, this.#tools?.begin ?? '', '');
    return textEvents(this.#skipsSpace ? rest.trimStart() : rest);
  }

  /** Takes what is certain from what waits. False when nothing more is. */
  #step(events: AnswerEvent[]): boolean {
    switch (this.#mode) {
      case 'call':
        return this.#stepCall(events);
      case 'reasoning':
        return this.#stepReasoning(events);
      case 'text':
        return this.#stepText(events);
    }
  }

  #stepText(events: AnswerEvent[]): boolean {
    if (this.#skipsSpace) this.#waiting = this.#waiting.trimStart();
    const { mayBe } = this.#tools ?? {};
    if (this.#isAtStart && mayBe !== undefined) {
      const start = this.#waiting.trimStart();
      // A call is the whole answer, which begins as one; reasoning may stand before it.
      const found = start === '' ? 'maybe' : mayBe(start);
      if (found === 'yes') this.#startCall(undefined);
      if (found !== 'no') return found === 'yes';
    }
    const own = [this.#reasoning?.begin, this.#tools?.begin].filter((mark) => mark !== undefined);
    const marks = [...own, ...this.#silent];
    const found = firstOf(this.#waiting, marks);
    if (found === undefined) {
      this.#emit(events, 'text', this.#waiting.length - heldBack(this.#waiting, marks));
      return false;
    }
    this.#emit(events, 'text', found.at);
    this.#waiting = this.#waiting.slice(found.mark.length);
    if (this.#silent.includes(found.mark)) {
      this.#skipsSpace = true;
      return true;
    }
    if (found.mark === this.#reasoning?.begin) this.#mode = 'reasoning';
    else this.#startCall(this.#tools?.end);
    return true;
  }

  #startCall(end: string | undefined): void {
    this.#mode = 'call';
    this.#call = new CallCollector(end);
    this.#follower = this.#tools?.follow?.(this.#parameters) ?? NO_FOLLOWER;
  }

  #stepReasoning(events: AnswerEvent[]): boolean {
    const { end } = this.#reasoning as ReasoningFormat;
    const at = this.#waiting.indexOf(end);
    this.#emit(events, 'reasoning', at === -1 ? this.#waiting.length - heldBack(this.#waiting, [end]) : at);
    if (at === -1) return false;
    this.#leave(end.length);
    return true;
  }

  #stepCall(events: AnswerEvent[]): boolean {
    const { begin = '', end = '' } = this.#tools as ToolFormat;
    const rest = this.#call.take(this.#waiting);
    this.#waiting = rest ?? '';
    events.push(...this.#follower.take(this.#call.fresh()));
    if (rest === undefined) return false;
    const found = this.#callsOf(this.#call.body, begin, end);
    events.push(...found);
    this.#mode = 'text';
    this.#skipsSpace = found.some(({ kind }) => kind === 'tool-call');
    return true;
  }

  #leave(length: number): void {
    this.#waiting = this.#waiting.slice(length);
    this.#mode = 'text';
    this.#skipsSpace = true;
  }

  /** The calls of a body, or all of it as text. */
  #callsOf(body: string, begin: string, end: string): AnswerEvent[] {
    const calls = this.#tools?.read(body, this.#parameters);
    const last = this.#follower.end();
    const found = settled(calls, this.#follower.calls, begin + body + end);
    const isCall = found.some(({ kind }) => kind === 'tool-call');
    const rest = (isCall && this.#tools?.rest?.(body).trim()) || '';
    return [...last, ...found, ...textEvents(rest)];
  }

  #emit(events: AnswerEvent[], kind: 'text' | 'reasoning', length: number): void {
    if (length <= 0) return;
    events.push({ kind, text: this.#waiting.slice(0, length) });
    this.#waiting = this.#waiting.slice(length);
    if (kind !== 'text') return;
    this.#isAtStart = false;
    this.#skipsSpace = false;
  }
}

const textEvents = (text: string): AnswerEvent[] => (text === '' ? [] : [{ kind: 'text', text }]);

/** Whether the latest mark of a prompt opens reasoning: many templates end with `<think>`. */
export function opensReasoning(prompt: string, { begin, end }: ReasoningFormat): boolean {
  const at = prompt.lastIndexOf(begin);
  return at !== -1 && at > prompt.lastIndexOf(end) && prompt.slice(at + begin.length).trim() === '';
}
