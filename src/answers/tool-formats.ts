import { isObject } from '../is-object.js';
import type { ToolCall } from './answer-event.js';
import { looseValue, type ToolParameters } from './argument-types.js';
import { readPythonCalls } from './python-calls.js';

/** How a family writes calls of tools, as its published template shows them to the model. */
export interface ToolFormat {
  readonly name: string;
  /** What a template of the family has in it; the first format that a template fits is taken. */
  readonly isIn: (template: string) => boolean;
  /** What a call begins with; undefined: a call is the whole answer, if it reads as one. */
  readonly begin: string | undefined;
  /** What it ends with; undefined: the end of the answer. */
  readonly end: string | undefined;
  /** What stands around all calls of an answer, which is no part of it; nothing when absent. */
  readonly around?: { readonly begin: string; readonly end: string };
  /** Whether an answer that begins so is a call as a whole, or may be; for those without `begin`. */
  readonly mayBe?: (start: string) => 'yes' | 'maybe' | 'no';
  /** The calls in what stands between; undefined when it is none. */
  readonly read: (body: string, parameters: ToolParameters) => readonly ToolCall[] | undefined;
}

const has =
  (...parts: readonly string[]) =>
  (template: string): boolean =>
    parts.every((part) => template.includes(part));

/** A call as JSON: the name, and its arguments under one of the keys that families give them. */
function readCall(value: unknown): ToolCall | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, tool_name, arguments: args, parameters = {} } = value as Record<string, unknown>;
  const called = name ?? tool_name;
  const given = args ?? parameters;
  if (typeof called !== 'string' || called === '') return undefined;
  if (typeof given === 'string') return isJsonObject(given) ? { name: called, arguments: given } : undefined;
  if (!isObject(given)) return undefined;
  return { name: called, arguments: JSON.stringify(given) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isJsonObject(text: string): boolean {
  return isObject(parseJson(text));
}

/** One call, or a list of them. */
function readJson(body: string): readonly ToolCall[] | undefined {
  const value = parseJson(body.trim());
  const calls = (Array.isArray(value) ? value : [value]).map(readCall);
  return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined;
}

/** Calls one after another, with `;` between them, as Llama 3.1 writes several. */
function readJsonSequence(body: string): readonly ToolCall[] | undefined {
  const whole = readJson(body);
  if (whole !== undefined) return whole;
  const parts = body.split(/;\s*(?=\{)/).map(readJson);
  return parts.length > 1 && parts.every((part) => part !== undefined) ? parts.flat() : undefined;
}

/** `name[ARGS]{…}`, as Mistral's newer tokenizers write it, or a list. Several follow one another. */
function readMistral(body: string): readonly ToolCall[] | undefined {
  const list = readJson(body);
  if (list !== undefined) return list;
  const calls = body.split('[TOOL_CALLS]').map((part) => {
    const [, name, args = ''] = /^\s*([\w.-]+)(?:\[ARGS\])?\s*(\{[\s\S]*\})\s*$/.exec(part) ?? [];
    return name !== undefined && isJsonObject(args) ? { name, arguments: args } : undefined;
  });
  return calls.every((call) => call !== undefined) ? calls : undefined;
}

/** A name on its own line, then its arguments (GLM-4, ChatGLM3). */
function readNameAndJson(body: string): readonly ToolCall[] | undefined {
  const [, name, args = ''] = /^\s*([\w.-]+)\s*\n\s*(\{[\s\S]*\})\s*$/.exec(body) ?? [];
  return name !== undefined && isJsonObject(args) ? [{ name, arguments: args }] : undefined;
}

/** `name`, then pairs of `<arg_key>` and `<arg_value>` (GLM-4.5). */
function readArgPairs(body: string, parameters: ToolParameters): readonly ToolCall[] | undefined {
  const [, name] = /^\s*([\w.-]+)\s*(?:<arg_key>|$)/.exec(body) ?? [];
  if (name === undefined) return undefined;
  const pairs = body.matchAll(/<arg_key>([\s\S]*?)<\/arg_key>\s*<arg_value>([\s\S]*?)<\/arg_value>/g);
  const args = Array.from(pairs, ([, key = '', value = '']) => {
    return [key.trim(), looseValue(value, name, key.trim(), parameters)] as const;
  });
  return [{ name, arguments: JSON.stringify(Object.fromEntries(args)) }];
}

/** `<function=name><parameter=key>value</parameter>…</function>` (Qwen3-Coder, Seed-OSS). */
function readFunctionXml(body: string, parameters: ToolParameters): readonly ToolCall[] | undefined {
  const calls = Array.from(
    body.matchAll(/<function=([\w.-]+)>([\s\S]*?)<\/function>/g),
    ([, name = '', inner = '']) => {
      const pairs = inner.matchAll(/<parameter=([^>]+)>\n?([\s\S]*?)\n?<\/parameter>/g);
      const args = Array.from(pairs, ([, key = '', value = '']) => {
        return [key, looseValue(value, name, key, parameters)] as const;
      });
      return { name, arguments: JSON.stringify(Object.fromEntries(args)) };
    },
  );
  return calls.length > 0 ? calls : undefined;
}

/** A name, then JSON in a block of code (Hunyuan). */
function readFencedJson(body: string): readonly ToolCall[] | undefined {
  const [, name, args = ''] = /^\s*([\w.-]+)\s*\n```json\n([\s\S]*?)\n```\s*$/.exec(body) ?? [];
  return name !== undefined && isJsonObject(args) ? [{ name, arguments: args }] : undefined;
}

/** `<｜tool▁call▁begin｜>name<｜tool▁sep｜>{…}<｜tool▁call▁end｜>`; before V3.1 a type, the name, and JSON in a block of code. */
function readDeepSeek(body: string): readonly ToolCall[] | undefined {
  return readEach(body, /<｜tool▁call▁begin｜>([\s\S]*?)(?:<｜tool▁call▁end｜>|$)/g, (inner) => {
    const [head = '', rest = ''] = inner.split('<｜tool▁sep｜>');
    return readFencedJson(rest)?.[0] ?? callOf(head.trim(), rest);
  });
}

/** `<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`; what stands before is the id. */
function readKimi(body: string): readonly ToolCall[] | undefined {
  return readEach(body, /<\|tool_call_begin\|>([\s\S]*?)(?:<\|tool_call_end\|>|$)/g, (inner) => {
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
const readPython = (body: string): readonly ToolCall[] | undefined =>
  readPythonCalls(body.replace(/^\s*```(?:python)?\n|\n?```\s*$/g, ''));

const PYTHON_TAG = '<|python_tag|>';

/** JSON, as Llama 3.1 writes it, or a list of Python's calls, as 3.2 and 4 do. */
function mayBeLlama(start: string): 'yes' | 'maybe' | 'no' {
  if (start.startsWith('{') || start.startsWith(PYTHON_TAG) || /^\[\s*[A-Za-z_][\w.]*\(/.test(start))
    return 'yes';
  return PYTHON_TAG.startsWith(start) || /^\[\s*(?:[A-Za-z_][\w.]*)?$/.test(start) ? 'maybe' : 'no';
}

/** Formats by what their templates have in them, the more particular first. */
export const TOOL_FORMATS: readonly ToolFormat[] = [
  {
    name: 'deepseek',
    isIn: has('<｜tool▁calls▁begin｜>'),
    begin: '<｜tool▁calls▁begin｜>',
    end: '<｜tool▁calls▁end｜>',
    read: readDeepSeek,
  },
  {
    name: 'kimi',
    isIn: has('<|tool_calls_section_begin|>'),
    begin: '<|tool_calls_section_begin|>',
    end: '<|tool_calls_section_end|>',
    read: readKimi,
  },
  {
    name: 'python of OLMo',
    isIn: has('<function_calls>'),
    begin: '<function_calls>',
    end: '</function_calls>',
    read: readPython,
  },
  {
    name: 'python of MiniCPM',
    isIn: has('<|tool_call_start|>'),
    begin: '<|tool_call_start|>',
    end: '<|tool_call_end|>',
    read: (body) => readPython(body) ?? readJson(body),
  },
  {
    name: 'function xml of Seed',
    isIn: has('<seed:tool_call>'),
    begin: '<seed:tool_call>',
    end: '</seed:tool_call>',
    read: readFunctionXml,
  },
  {
    name: 'function xml',
    isIn: has('<tool_call>', '<function='),
    begin: '<tool_call>',
    end: '</tool_call>',
    read: readFunctionXml,
  },
  {
    name: 'argument pairs',
    isIn: has('<tool_call>', '<arg_key>'),
    begin: '<tool_call>',
    end: '</tool_call>',
    read: readArgPairs,
  },
  {
    name: 'fenced json',
    isIn: has('<tool_call>', '```json'),
    begin: '<tool_call>',
    end: '</tool_call>',
    around: { begin: '<tool_calls>', end: '</tool_calls>' },
    read: (body) => readFencedJson(body) ?? readJson(body),
  },
  {
    name: 'hermes',
    isIn: has('<tool_call>'),
    begin: '<tool_call>',
    end: '</tool_call>',
    read: readJson,
  },
  {
    name: 'json list',
    isIn: has('<tool_calls>'),
    begin: '<tool_calls>',
    end: '</tool_calls>',
    read: readJson,
  },
  {
    name: 'mistral',
    isIn: has('[TOOL_CALLS]'),
    begin: '[TOOL_CALLS]',
    end: undefined,
    read: readMistral,
  },
  {
    name: 'cohere',
    isIn: has('<|START_ACTION|>'),
    begin: '<|START_ACTION|>',
    end: '<|END_ACTION|>',
    read: readJson,
  },
  {
    name: 'internlm',
    isIn: has('<|action_start|>'),
    begin: '<|action_start|><|plugin|>',
    end: '<|action_end|>',
    read: readJson,
  },
  {
    name: 'functools',
    isIn: has('functools['),
    begin: 'functools',
    end: undefined,
    read: readJson,
  },
  {
    name: 'phi',
    isIn: has('<|tool_call|>', '<|/tool_call|>'),
    begin: '<|tool_call|>',
    end: '<|/tool_call|>',
    read: readJson,
  },
  {
    name: 'granite',
    isIn: has('<|tool_call|>'),
    begin: '<|tool_call|>',
    end: undefined,
    read: readJson,
  },
  {
    name: 'glm',
    isIn: has('<|observation|>'),
    begin: undefined,
    end: undefined,
    mayBe: (start) => {
      if (/^[\w.-]+[ \t]*\n\s*\{/.test(start)) return 'yes';
      return /^[\w.-]+[ \t]*(?:\n\s*)?$/.test(start) ? 'maybe' : 'no';
    },
    read: readNameAndJson,
  },
  {
    name: 'llama json',
    isIn: (template) => template.includes('<|python_tag|>') || /"parameters"/.test(template),
    begin: undefined,
    end: undefined,
    mayBe: mayBeLlama,
    read: (body) => {
      const calls = body.replace(/^\s*<\|python_tag\|>/, '');
      return readJsonSequence(calls) ?? readPythonCalls(calls);
    },
  },
];
