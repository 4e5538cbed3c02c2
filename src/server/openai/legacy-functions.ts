import { z } from 'zod';
import type { ToolCall } from '../../answers/answer-event.js';
import { invalidRequest } from '../http-error.js';
import { MAX_TOOLS, type Message, type Tool, type ToolChoice, tool } from './conversation.js';

/** What OpenAI had before tools, and still answers: functions, of which an answer calls one at most. */
export const LEGACY_FIELDS = {
  functions: z.array(tool.shape.function).max(MAX_TOOLS).nullish(),
  function_call: z
    .union([z.enum(['none', 'auto']), z.object({ name: z.string() })], 'must be none, auto, or a name')
    .nullish(),
};
const fields = z.object(LEGACY_FIELDS);

/** The same as tools; undefined where there are none. @throws HttpError for a choice without functions */
export function legacyTools({
  functions,
  function_call: choice,
}: z.infer<typeof fields>):
  | { readonly tools: readonly Tool[]; readonly toolChoice: ToolChoice; readonly mayCallSeveral: false }
  | undefined {
  if (!functions?.length) {
    if (choice && choice !== 'none') throw invalidRequest('function_call needs functions', 'function_call');
    return undefined;
  }
  return {
    tools: functions.map((one) => ({ type: 'function', function: one })),
    toolChoice:
      typeof choice === 'object' && choice !== null
        ? { type: 'function', function: choice }
        : (choice ?? 'auto'),
    mayCallSeveral: false,
  };
}

/** What an answer has of a call of one. */
export const functionCall = ({ name, arguments: args }: ToolCall): object => ({
  function_call: { name, arguments: args },
});

/** A message of a function, or a call of one, as messages of tools. */
export function withoutLegacy({ function_call: call, ...message }: Message): Message {
  if (message.role === 'function') return { ...message, role: 'tool' };
  return call ? { ...message, tool_calls: [{ type: 'function', function: call }] } : message;
}
