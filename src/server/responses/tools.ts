import { z } from 'zod';
import { isObject } from '../../is-object.js';
import { invalidRequest } from '../http-error.js';
import type { Tool, ToolChoice } from '../openai/conversation.js';
import { readBody } from '../openai/fields.js';

/** Coding agents bring along those of many servers. */
const MAX_TOOLS = 1024;

const tool = z.looseObject({
  type: z.string(),
  name: z.string().nullish(),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  format: z.looseObject({ definition: z.string().nullish(), syntax: z.string().nullish() }).nullish(),
});
const group = tool.extend({ tools: z.array(tool).max(MAX_TOOLS).nullish() });
type GivenTool = z.infer<typeof group>;

const named = z.looseObject({
  type: z.string(),
  name: z.string().nullish(),
  namespace: z.string().nullish(),
});
export const toolFields = {
  tools: z.array(group).max(MAX_TOOLS).nullish(),
  tool_choice: z
    .union(
      [
        z.enum(['none', 'auto', 'required']),
        named.extend({
          mode: z.enum(['auto', 'required']).nullish(),
          tools: z.array(named).optional(),
        }),
      ],
      'must be none, auto, required, or an object that names what is to be called',
    )
    .nullish(),
};
const fields = z.object(toolFields);

/** A tool that runs at the client, which the model knows as a function. */
export interface ClientTool {
  readonly name: string;
  readonly namespace?: string;
  /** Whether it takes a text in place of arguments. */
  readonly takesText: boolean;
}

/** The group that stands for none: formats of calls put it before the names of all functions. */
const COMMON = 'functions';

/** What a function is called for the model. One of a group of tools has its name before its own, as OpenAI's models know it. */
export const modelsName = (name: string, namespace?: string | null): string =>
  namespace && namespace !== COMMON ? `${namespace}.${name}` : name;

/** The tools that items of the input bring, where Codex has them for models that it knows. */
export function toolsIn(
  input: string | readonly { readonly type?: string | null | undefined }[],
): GivenTool[] {
  const items = typeof input === 'string' ? [] : input.filter(({ type }) => type === ADDITIONAL);
  return items.flatMap(
    (item) => readBody(z.looseObject({ tools: z.array(group).max(MAX_TOOLS) }), item).tools,
  );
}
export const ADDITIONAL = 'additional_tools';

/** The one argument of a function that stands for a tool which takes a text. */
export const TEXT_ARGUMENT = 'input';

/**
 * The tools that run at the client, by their names for the model: functions, those that take a text, and those of groups.
 * Of others, which run at OpenAI and which agents name beside theirs, the model is not told.
 * @throws HttpError where there is no other
 */
export function toolsOf(given: readonly GivenTool[]): {
  readonly functions: readonly Tool[];
  readonly byName: ReadonlyMap<string, ClientTool>;
} {
  const all = given.flatMap((one, i) => [
    { one, place: `tools.${i}`, namespace: undefined },
    ...(one.type === 'namespace' ? (one.tools ?? []) : []).map((inner, at) => {
      return { one: inner, place: `tools.${i}.tools.${at}`, namespace: one.name };
    }),
  ]);
  const own = all.filter(({ one: { type } }) => type === 'function' || type === 'custom');
  const [first] = given;
  if (first !== undefined && own.length === 0)
    throw invalidRequest(
      `a tool of type "${first.type}": only functions of the client's run here`,
      'tools.0',
    );
  const byName = new Map<string, ClientTool>();
  const functions = own.map(({ one, place, namespace }): Tool => {
    const { name, type } = one;
    if (!name) throw invalidRequest('a function must have a name', `${place}.name`);
    const takesText = type === 'custom';
    byName.set(modelsName(name, namespace), { name, ...(namespace && { namespace }), takesText });
    const parameters = takesText ? TEXT_PARAMETERS : one.parameters;
    const description = takesText ? descriptionOf(one) : one.description;
    return { type: 'function', function: { name: modelsName(name, namespace), description, parameters } };
  });
  return { functions, byName };
}

const TEXT_PARAMETERS = {
  type: 'object',
  properties: { [TEXT_ARGUMENT]: { type: 'string' } },
  required: [TEXT_ARGUMENT],
  additionalProperties: false,
};

/** With the grammar of the text, where it has one. */
function descriptionOf({ description, format }: GivenTool): string | null | undefined {
  if (!format?.definition) return description;
  return `${description ?? ''}\n\nThe ${TEXT_ARGUMENT} follows this grammar (${format.syntax}):\n${format.definition}`;
}

/** The text of a call of a tool that takes one; its arguments as they are, where a model writes others. */
export function textArgument(args: string): string {
  try {
    const value: unknown = JSON.parse(args);
    const text = isObject(value) ? value[TEXT_ARGUMENT] : undefined;
    return typeof text === 'string' ? text : args;
  } catch {
    return args;
  }
}

/** @throws HttpError for a choice of what does not run at the client */
export function toolChoiceOf({ tool_choice: choice }: z.infer<typeof fields>): ToolChoice {
  if (typeof choice !== 'object' || choice === null) return choice ?? 'auto';
  const { type, mode, tools = [] } = choice;
  const isOwn = (one: { type: string }): boolean => one.type === 'function' || one.type === 'custom';
  const functionOf = ({ name, namespace }: z.infer<typeof named>) => ({
    ...{ type: 'function' as const, function: { name: modelsName(name ?? '', namespace) } },
  });
  if (isOwn(choice)) return functionOf(choice);
  if (type !== 'allowed_tools')
    throw invalidRequest(
      `a choice of type "${type}": only functions of the client's run here`,
      'tool_choice',
    );
  const allowed = tools.filter(isOwn).map(functionOf);
  return { type, allowed_tools: { mode: mode ?? 'auto', tools: allowed } };
}
