import { isObject } from '../is-object.js';
import type { ToolCall } from './answer-event.js';
import { looseJson, type ToolParameters } from './argument-types.js';
import { isJsonObject, parseJson } from './is-json-object.js';
import { compactJson, slicesOf } from './json-slices.js';
import { readPythonCalls } from './python-calls.js';

const PAIR = /<arg_key>([\s\S]*?)<\/arg_key>\s*<arg_value>([\s\S]*?)<\/arg_value>/g;
const XML_CALL = /<function=([\w.-]+)>([\s\S]*?)<\/function>/g;
const XML_ARGUMENT = /<parameter=([^>]+)>\n?([\s\S]*?)\n?<\/parameter>/g;
const DEEPSEEK_CALL = /<｜tool▁call▁begin｜>([\s\S]*?)(?:<｜tool▁call▁end｜>|$)/g;
const KIMI_CALL = /<\|tool_call_begin\|>([\s\S]*?)(?:<\|tool_call_end\|>|$)/g;

/** What a model wrote between calls, or between arguments, where its format has nothing. */
export const besidePairs = (body: string): string => body.replace(/^\s*[\w.-]+/, '').replace(PAIR, '');
export const besideXml = (body: string): string =>
  body.replace(XML_CALL, (_call, _name, inner: string) => inner.replace(XML_ARGUMENT, ''));
export const besideDeepSeek = (body: string): string => body.replace(DEEPSEEK_CALL, '');
export const besideKimi = (body: string): string => body.replace(KIMI_CALL, '');

/** Members that a call may have besides arguments. */
const isKnown = (key: string): boolean =>
  ['name', 'tool_name', 'arguments', 'id', 'tool_call_id', 'type', 'index'].includes(key);

/** A call as JSON: the name, and its arguments under one of the keys that families give them, as they are written. */
function readCall(value: unknown, json: string): ToolCall | undefined {
  if (!isObject(value)) return undefined;
  const { name, tool_name, arguments: args, parameters = {} } = value;
  const called = name ?? tool_name;
  const given = args ?? parameters;
  if (typeof called !== 'string' || called === '') return undefined;
  // Something else in the place of arguments would be lost.
  if (args == null && value.parameters === undefined && !Object.keys(value).every(isKnown)) return undefined;
  if (typeof given === 'string') return isJsonObject(given) ? { name: called, arguments: given } : undefined;
  if (!isObject(given)) return undefined;
  const written = slicesOf(json).get(args == null ? 'parameters' : 'arguments');
  return { name: called, arguments: compactJson(written ?? '{}') };
}

/** One call, or a list of them. */
export function readJson(body: string): readonly ToolCall[] | undefined {
  const value = parseJson(body.trim());
  if (value === undefined) return undefined;
  const slices = slicesOf(body);
  const calls = Array.isArray(value)
    ? value.map((one, i) => readCall(one, slices.get(String(i)) ?? ''))
    : [readCall(value, body)];
  return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined;
}

/** Calls one after another, with `;` between them, as Llama 3.1 writes several. */
export function readJsonSequence(body: string): readonly ToolCall[] | undefined {
  const whole = readJson(body);
  if (whole !== undefined) return whole;
  const parts = body.split(/;\s*(?=\{)/).map(readJson);
  return parts.length > 1 && parts.every((part) => part !== undefined) ? parts.flat() : undefined;
}

/** `name[ARGS]{…}`, as Mistral's newer tokenizers write it, or a list. Several follow one another. */
export function readMistral(body: string): readonly ToolCall[] | undefined {
  const list = readJson(body);
  if (list !== undefined) return list;
  const calls = body.split('[TOOL_CALLS]').map((part) => {
    const [, name, args = ''] = /^\s*([\w.-]+)(?:\[ARGS\])?\s*(\{[\s\S]*\})\s*$/.exec(part) ?? [];
    return name !== undefined && isJsonObject(args) ? { name, arguments: args } : undefined;
  });
  return calls.every((call) => call !== undefined) ? calls : undefined;
}

/** A name on its own line, then its arguments (GLM-4, ChatGLM3). */
export function readNameAndJson(body: string): readonly ToolCall[] | undefined {
  const [, name, args = ''] = /^\s*([\w.-]+)\s*\n\s*(\{[\s\S]*\})\s*$/.exec(body) ?? [];
  return name !== undefined && isJsonObject(args) ? [{ name, arguments: args }] : undefined;
}

/** An object of values without quotes; of keys that come twice, the last. */
function looseObject(
  tool: string,
  pairs: readonly (readonly [key: string, value: string])[],
  parameters: ToolParameters,
): string {
  const members = Array.from(new Map(pairs), ([key, value]) => {
    return `${JSON.stringify(key)}:${looseJson(value, tool, key, parameters)}`;
  });
  return `{${members.join(',')}}`;
}

/** `name`, then pairs of `<arg_key>` and `<arg_value>` (GLM-4.5). */
export function readArgPairs(body: string, parameters: ToolParameters): readonly ToolCall[] | undefined {
  const [, name] = /^\s*([\w.-]+)\s*(?:<arg_key>|$)/.exec(body) ?? [];
  if (name === undefined) return undefined;
  const pairs = body.matchAll(PAIR);
  const args = Array.from(pairs, ([, key = '', value = '']) => [key.trim(), value] as const);
  return [{ name, arguments: looseObject(name, args, parameters) }];
}

/** `<function=name><parameter=key>value</parameter>…</function>` (Qwen3-Coder, Seed-OSS). */
export function readFunctionXml(body: string, parameters: ToolParameters): readonly ToolCall[] | undefined {
  const calls = Array.from(body.matchAll(XML_CALL), ([, name = '', inner = '']) => {
    const pairs = inner.matchAll(XML_ARGUMENT);
    const args = Array.from(pairs, ([, key = '', value = '']) => [key, value] as const);
    return { name, arguments: looseObject(name, args, parameters) };
  });
  return calls.length > 0 ? calls : undefined;
}

/** A name, then JSON in a block of code (Hunyuan). */
export function readFencedJson(body: string): readonly ToolCall[] | undefined {
  const [, name, args = ''] = /^\s*([\w.-]+)\s*\n```json\n([\s\S]*?)\n```\s*$/.exec(body) ?? [];
  return name !== undefined && isJsonObject(args) ? [{ name, arguments: args }] : undefined;
}

/** `<｜tool▁call▁begin｜>name<｜tool▁sep｜>{…}<｜tool▁call▁end｜>`; before V3.1 a type, the name, and JSON in a block of code. */
export function readDeepSeek(body: string): readonly ToolCall[] | undefined {
  return readEach(body, DEEPSEEK_CALL, (inner) => {
    const [head = '', rest = ''] = inner.split('<｜tool▁sep｜>');
    return readFencedJson(rest)?.[0] ?? callOf(head.trim(), rest);
  });
}

/** `<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`; what stands before is the id. */
export function readKimi(body: string): readonly ToolCall[] | undefined {
  return readEach(body, KIMI_CALL, (inner) => {
    const [head = '', rest = ''] = inner.split('<|tool_call_argument_begin|>');
    const id = head.trim();
    const call = callOf(id.replace(/^functions\./, '').replace(/:\d+$/, ''), rest);
    return call && { ...call, id };
  });
}

function readEach(
  body: string,
  pattern: RegExp,
  read: (inner: string) => ToolCall | undefined,
): readonly ToolCall[] | undefined {
  const calls = Array.from(body.matchAll(pattern), ([, inner = '']) => read(inner));
  return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined;
}

function callOf(name: string, args: string): ToolCall | undefined {
  const given = args.trim() || '{}';
  return /^[\w.-]+$/.test(name) && isJsonObject(given) ? { name, arguments: given } : undefined;
}

/** Calls of Python, in a block of code where a model makes one (MiniCPM 3). */
export const readPython = (body: string): readonly ToolCall[] | undefined =>
  readPythonCalls(body.replace(/^\s*```(?:python)?\n|\n?```\s*$/g, ''));
