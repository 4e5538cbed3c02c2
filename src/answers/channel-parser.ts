import type { AnswerEvent } from './answer-event.js';
import { type CallFollower, HeadFollower, NO_FOLLOWER, settled } from './call-follower.js';
import { isJsonObject } from './is-json-object.js';
import { firstOf, heldBack } from './marks.js';

const START = '<|start|>';
const CHANNEL = '<|channel|>';
const MESSAGE = '<|message|>';
/** What a message ends with; where a model forgets it, the next message begins. */
const ENDS = ['<|end|>', '<|return|>', '<|call|>', START];
const END = /<\|(?:end|return|call)\|>|(?=<\|start\|>)/;
/** What a header begins with. That of the first message has no START, which is the end of the prompt. */
const HEADERS = [START, CHANNEL, ' to='];

/** A header, or what has come of one. */
const HEADER = new RegExp(
  [
    /^(?:<\|start\|>\s*[\w.:-]*)?(?:\s*to=[\w.-]*)?/,
    /(?:\s*<\|channel\|>\s*[\w-]*)?(?:\s*to=[\w.-]*)?(?:\s*<\|constrain\|>\s*\w*|\s+json)?/,
  ]
    .map(({ source }) => source)
    .join(''),
);

/** Whether a template's answers are messages in channels. */
export const hasChannels = (template: string): boolean =>
  template.includes(CHANNEL) && template.includes(MESSAGE);

/** What a message is: text, or a call of the function that it is sent to. */
interface Message {
  readonly kind: 'text' | 'reasoning';
  readonly called: string | undefined;
}

/** What an answer without a header is: a guide may leave no room for one. */
const PLAIN: Message = { kind: 'text', called: undefined };

/**
 * Splits an answer in OpenAI's harmony format (gpt-oss), piece by piece as it comes. Such an answer is a row of messages,
 * each a header, its body and a mark. The header has a channel, and where the message is sent to somebody a recipient:
 * `analysis` is reasoning, `final` and `commentary` are text, and what is sent to `functions.NAME` is a call with JSON for
 * a body. Messages of one kind are joined by an empty line. However an answer is cut into pieces, the joined events are
 * the same. Source: https://cookbook.openai.com/articles/openai-harmony.
 */
export class ChannelParser {
  readonly #mayCall: boolean;
  #waiting = '';
  /** Undefined in a header. */
  #message: Message | undefined;
  /** Of a call, as far as they have come. */
  readonly #arguments: string[] = [];
  #follower: CallFollower = NO_FOLLOWER;
  readonly #written = new Set<Message['kind']>();
  #breaks = false;

  constructor({ mayCall }: { readonly mayCall: boolean }) {
    this.#mayCall = mayCall;
  }

  push(piece: string): AnswerEvent[] {
    this.#waiting += piece;
    const events: AnswerEvent[] = [];
    while (this.#message === undefined ? this.#stepHeader(events) : this.#stepBody(this.#message, events));
    return events;
  }

  /** What was held back. The answer is over. */
  end(): AnswerEvent[] {
    const events: AnswerEvent[] = [];
    if (this.#message) this.#finish(this.#message, this.#waiting, events);
    else this.#sayStray(this.#waiting, events);
    this.#waiting = '';
    return events;
  }

  /** Takes the header, if all of it is there. False when nothing more is certain. */
  #stepHeader(events: AnswerEvent[]): boolean {
    const at = this.#waiting.indexOf(MESSAGE);
    const mayBegin = HEADERS.some((mark) => mark.startsWith(this.#waiting.slice(0, mark.length)));
    if (mayBegin && at === -1) return false;
    const headers = mayBegin ? this.#waiting.slice(0, at).split(END) : [];
    // A message that ends before its body: what stands there is text.
    for (const header of headers.slice(0, -1)) this.#sayStray(header, events);
    this.#message = mayBegin ? this.#messageOf(headers.at(-1) ?? '') : PLAIN;
    if (mayBegin) this.#waiting = this.#waiting.slice(at + MESSAGE.length);
    this.#breaks = this.#written.has(this.#message.kind);
    const { called } = this.#message;
    if (called !== undefined) this.#follower = new HeadFollower(/^\s*$/, called);
    return true;
  }

  #messageOf(header: string): Message {
    const [, channel] = /<\|channel\|>\s*([\w-]+)/.exec(header) ?? [];
    const [, recipient] = /\bto=(?:functions\.)?([\w.-]+)/.exec(header) ?? [];
    const kind = channel === 'analysis' ? 'reasoning' : 'text';
    return { kind, called: this.#mayCall ? recipient : undefined };
  }

  #stepBody(message: Message, events: AnswerEvent[]): boolean {
    const found = firstOf(this.#waiting, ENDS);
    if (found === undefined) {
      const certainLen = this.#waiting.length - heldBack(this.#waiting, ENDS);
      if (message.called === undefined) this.#take(message.kind, certainLen, events);
      else {
        const certain = this.#waiting.slice(0, certainLen);
        this.#arguments.push(certain);
        events.push(...this.#follower.take(certain));
        this.#waiting = this.#waiting.slice(certainLen);
      }
      return false;
    }
    this.#finish(message, this.#waiting.slice(0, found.at), events);
    this.#waiting = this.#waiting.slice(found.at + (found.mark === START ? 0 : found.mark.length));
    this.#message = undefined;
    return true;
  }

  /** Says the rest of a message. A call whose body is no JSON is none. */
  #finish({ kind, called }: Message, rest: string, events: AnswerEvent[]): void {
    const whole = this.#arguments.splice(0).join('') + rest;
    const given = whole.trim() === '' ? '{}' : whole;
    const isCall = called !== undefined && isJsonObject(given);
    events.push(...this.#follower.take(rest));
    const { calls: started } = this.#follower;
    this.#follower = NO_FOLLOWER;
    if (!isCall && started.length === 0) this.#say(kind, whole, events);
    else events.push(...settled(isCall ? [{ name: called, arguments: given }] : undefined, started, whole));
  }

  #take(kind: Message['kind'], length: number, events: AnswerEvent[]): void {
    this.#say(kind, this.#waiting.slice(0, length), events);
    this.#waiting = this.#waiting.slice(length);
  }

  /** Says what is no part of a header, nor a mark, in what looked like one to its end. */
  #sayStray(header: string, events: AnswerEvent[]): void {
    for (const part of header.split(END)) {
      this.#breaks = this.#written.has('text');
      this.#say('text', part.replace(HEADER, '').trim(), events);
    }
  }

  #say(kind: Message['kind'], text: string, events: AnswerEvent[]): void {
    if (text === '') return;
    events.push({ kind, text: this.#breaks ? `\n\n${text}` : text });
    this.#breaks = false;
    this.#written.add(kind);
  }
}
