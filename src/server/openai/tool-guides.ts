import type { ToolCall } from '../../answers/answer-event.js';
import { type CallFollower, followArguments, JsonFollower } from '../../answers/call-follower.js';
import { compactJson, slicesOf } from '../../answers/json-slices.js';
import type { Guide } from '../../guided/index.js';
import { isObject } from '../../is-object.js';
import { invalidRequest } from '../http-error.js';
import type { Tool, ToolChoice } from './conversation.js';

/** How an answer that must be calls of tools is written and read. */
export interface ToolGuide {
  readonly guide: Guide;
  /** @throws SyntaxError where it is cut */
  readonly read: (text: string) => readonly ToolCall[];
  /** What finds them as it is written. */
  readonly follow: () => CallFollower;
}

/** Arguments are an object, also where a tool leaves that out. */
const parametersOf = ({ function: { parameters } }: Tool): object => ({ type: 'object', ...parameters });

/** The tools that a model is told of, and what it must do with them. */
export interface ChosenTools {
  readonly tools: readonly Tool[];
  /** Set where the answer must be calls; else the model decides, and writes calls in its own way. */
  readonly forced: ToolGuide | undefined;
}

/**
 * With `tool_choice` of a function the answer is its arguments; with `required`, a list of calls, or one alone.
 * @throws HttpError for a choice that names none of the tools
 */
export function chooseTools(
  tools: readonly Tool[],
  choice: ToolChoice,
  mayCallSeveral: boolean,
): ChosenTools {
  if (choice === 'none') return { tools: [], forced: undefined };
  if (choice === 'auto') return { tools, forced: undefined };
  if (tools.length === 0) throw invalidRequest('tool_choice needs tools', 'tool_choice');
  if (choice === 'required') return { tools, forced: callsGuide(tools, mayCallSeveral) };
  if (choice.type === 'function') {
    const called = toolNamed(tools, choice.function.name);
    const { name } = called.function;
    const read = (text: string): ToolCall[] => {
      JSON.parse(text);
      return [{ name, arguments: compactJson(text) }];
    };
    const guide = { jsonSchema: parametersOf(called) };
    return { tools, forced: { guide, read, follow: () => followArguments(name) } };
  }
  const { mode, tools: named } = choice.allowed_tools;
  const allowed = named.map((one) => toolNamed(tools, one.function.name));
  return chooseTools(allowed, mode, mayCallSeveral);
}

function toolNamed(tools: readonly Tool[], name: string): Tool {
  const found = tools.find((tool) => tool.function.name === name);
  if (found !== undefined) return found;
  const message = `tool_choice names ${JSON.stringify(name)}, which is none of the tools`;
  throw invalidRequest(message, 'tool_choice');
}

function callsGuide(tools: readonly Tool[], mayCallSeveral: boolean): ToolGuide {
  const alternatives = tools.map((tool, i) => ({
    type: 'object',
    properties: {
      name: { const: tool.function.name },
      parameters: placed(parametersOf(tool), `#/items/anyOf/${i}/properties/parameters`),
    },
    required: ['name', 'parameters'],
    additionalProperties: false,
  }));
  const calls = {
    ...{ type: 'array', minItems: 1, items: { anyOf: alternatives } },
    ...(!mayCallSeveral && { maxItems: 1 }),
  };
  return {
    guide: { jsonSchema: calls },
    follow: () => new JsonFollower(),
    read: (text) => {
      const written = JSON.parse(text) as { name: string }[];
      const slices = slicesOf(text);
      return written.map(({ name }, i) => ({
        name,
        arguments: compactJson(slicesOf(slices.get(String(i)) ?? '').get('parameters') ?? '{}'),
      }));
    },
  };
}

/** A schema that stands at `place` of another one: its references, which begin at its own root, begin there. */
function placed(schema: unknown, place: string): unknown {
  if (Array.isArray(schema)) return schema.map((one) => placed(one, place));
  if (!isObject(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' && typeof value === 'string' && value.startsWith('#')
        ? place + value.slice(1)
        : placed(value, place),
    ]),
  );
}
