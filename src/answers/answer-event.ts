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
  | { readonly kind: 'tool-call'; readonly call: ToolCall };
