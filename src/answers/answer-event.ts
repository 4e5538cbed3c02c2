/** A call of a tool that a model asked for. */
export interface ToolCall {
  readonly name: string;
  /** A JSON object, as text. */
  readonly arguments: string;
  /** As the model wrote it, where its format has ids; its template wants it back. */
  readonly id?: string;
}

/** A piece of an answer, in the order of the answer. */
export type AnswerEvent =
  | { readonly kind: 'text'; readonly text: string }
  /** What a model writes to itself before it answers. */
  | { readonly kind: 'reasoning'; readonly text: string }
  /** A call, as soon as its name is certain. */
  | { readonly kind: 'call-start'; readonly name: string; readonly id?: string }
  /** More of the arguments of the call that has started last. */
  | { readonly kind: 'call-arguments'; readonly text: string }
  /** A call as a whole, behind its start and its arguments. */
  | { readonly kind: 'tool-call'; readonly call: ToolCall }
  /** What has started as calls cannot be read as such to its end, as where an answer is cut: all of it, as it was written. */
  | { readonly kind: 'call-failed'; readonly text: string };

/** An event of an answer that is there as a whole, where calls have no pieces and failed ones are the text that they are. */
export type WholeEvent = Extract<AnswerEvent, { readonly kind: 'text' | 'reasoning' | 'tool-call' }>;

export const wholeEvents = (events: readonly AnswerEvent[]): WholeEvent[] =>
  events.flatMap((event) => {
    if (event.kind === 'call-start' || event.kind === 'call-arguments') return [];
    return event.kind === 'call-failed' ? [{ kind: 'text', text: event.text }] : [event];
  });

/** A call that is there as a whole. */
export const callEvents = (call: ToolCall): AnswerEvent[] => [
  { kind: 'call-start', name: call.name, ...(call.id !== undefined && { id: call.id }) },
  { kind: 'call-arguments', text: call.arguments },
  { kind: 'tool-call', call },
];
