import type { ToolCall } from '../../answers/answer-event.js';
import type { Guide } from '../../guided/index.js';
import { invalidRequest } from '../http-error.js';
import type { Tool, ToolChoice } from './conversation.js';

/** How an answer that must be calls of tools is written and read. */
export interface ToolGuide {
  readonly guide: Guide;
  readonly read: (text: string) => readonly ToolCall[];
}

const ANY_OBJECT = { type: 'object' };
const parametersOf = ({ function: { parameters } }: Tool): object => parameters ?? ANY_OBJECT;

/**
 * With `tool_choice` of a function the answer is its arguments; with `required`, a list of calls. Undefined: the model
 * decides, and writes calls in its own way.
 */
export function toolGuide(tools: readonly Tool[], choice: ToolChoice): ToolGuide | undefined {
  if (choice === 'none' || choice === 'auto') return undefined;
  if (tools.length === 0) throw invalidRequest('tool_choice needs tools', 'tool_choice');
  if (typeof choice === 'object') {
    const { name } = choice.function;
    const called = tools.find((tool) => tool.function.name === name);
    if (called === undefined)
      throw invalidRequest(
        `tool_choice names ${JSON.stringify(name)}, which is none of the tools`,
        'tool_choice',
      );
    return {
      guide: { jsonSchema: parametersOf(called) },
      read: (text) => [{ name, arguments: text.trim() }],
    };
  }
  const alternatives = tools.map((tool) => ({
    type: 'object',
    properties: { name: { const: tool.function.name }, parameters: parametersOf(tool) },
    required: ['name', 'parameters'],
    additionalProperties: false,
  }));
  return {
    guide: {
      jsonSchema: withDefinitions(tools, { type: 'array', minItems: 1, items: { anyOf: alternatives } }),
    },
    read: (text) =>
      (JSON.parse(text) as { name: string; parameters: object }[]).map(({ name, parameters }) => ({
        name,
        arguments: JSON.stringify(parameters),
      })),
  };
}

/** References of a tool's schema begin at its own root, which is elsewhere now: its definitions go to the new root. */
function withDefinitions(tools: readonly Tool[], schema: object): object {
  const all: Record<string, Record<string, unknown>> = {};
  for (const tool of tools)
    for (const keyword of ['$defs', 'definitions']) {
      const found = (parametersOf(tool) as Record<string, unknown>)[keyword];
      if (typeof found === 'object' && found !== null) all[keyword] = { ...all[keyword], ...found };
    }
  return { ...schema, ...all };
}
