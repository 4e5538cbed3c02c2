import type { ToolCall } from './answer-event.js';
import type { ToolParameters } from './argument-types.js';
import {
  beginsJson,
  type CallFollower,
  ChoosingFollower,
  HeadFollower,
  JsonFollower,
} from './call-follower.js';
import {
  besideDeepSeek,
  besideKimi,
  besidePairs,
  besideXml,
  readArgPairs,
  readDeepSeek,
  readFencedJson,
  readFunctionXml,
  readJson,
  readJsonSequence,
  readKimi,
  readMistral,
  readNameAndJson,
  readPython,
} from './call-readers.js';
import { type PairMarks, PairsFollower } from './pairs-follower.js';
import { PythonFollower, readPythonCalls } from './python-calls.js';

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
  /** What stands beside calls that `read` found, and is part of none; nothing when absent. */
  readonly rest?: (body: string) => string;
  /** What finds calls in it as it is written; absent where nothing is certain before all is there. */
  readonly follow?: (parameters: ToolParameters) => CallFollower;
}

const followJson = (): CallFollower => new JsonFollower();

/** JSON where it begins so, or names before arguments that are JSON. */
const followJsonOrHeads = (head: RegExp): CallFollower =>
  new ChoosingFollower((start) => {
    const isJson = beginsJson(start);
    return isJson === undefined ? undefined : isJson ? new JsonFollower() : new HeadFollower(head);
  });

/** JSON where it begins so, or Python, perhaps behind one of `leads`. */
const followJsonOrPython = (leads: readonly string[]): CallFollower =>
  new ChoosingFollower((start) => {
    const isJson = beginsJson(start);
    return isJson === undefined ? undefined : isJson ? new JsonFollower() : new PythonFollower();
  }, leads);

/** What begins a block of code. */
const FENCES = ['```python', '```'];

const XML_MARKS: PairMarks = {
  head: /<function=([\w.-]+)>$/,
  argument: /<parameter=([^>]+)>$/,
  valueEnd: '</parameter>',
  trimsLines: true,
  end: '</function>',
};
const followXml = (parameters: ToolParameters): CallFollower => new PairsFollower(XML_MARKS, parameters);

const PAIR_MARKS: PairMarks = {
  // Nothing but the first pair says that a name is over.
  head: /^\s*([\w.-]+)\s*<arg_key>[\s\S]*?<\/arg_key>\s*<arg_value>$/,
  argument: /<arg_key>([\s\S]*?)<\/arg_key>\s*<arg_value>$/,
  valueEnd: '</arg_value>',
  trimsLines: false,
};
const followPairs = (parameters: ToolParameters): CallFollower => new PairsFollower(PAIR_MARKS, parameters);

const has =
  (...parts: readonly string[]) =>
  (template: string): boolean =>
    parts.every((part) => template.includes(part));

/** JSON, as Llama 3.1 writes it, or a list of Python's calls, as 3.2 and 4 do, perhaps between marks. */
function llamaCalls(
  name: string,
  { begin, end }: { readonly begin: string; readonly end?: string },
  isIn: ToolFormat['isIn'],
): ToolFormat {
  const marks = end === undefined ? [begin] : [begin, end];
  return {
    name,
    isIn,
    begin: undefined,
    end: undefined,
    mayBe(start) {
      if (/^\{|^\[\s*[A-Za-z_][\w.]*\(/.test(start) || marks.some((mark) => start.startsWith(mark)))
        return 'yes';
      const begins = marks.some((mark) => mark.startsWith(start));
      return begins || /^\[\s*(?:[A-Za-z_][\w.]*)?$/.test(start) ? 'maybe' : 'no';
    },
    read(body) {
      let calls = body.trim();
      for (const mark of marks) if (calls.startsWith(mark)) calls = calls.slice(mark.length).trim();
      if (end !== undefined && calls.endsWith(end)) calls = calls.slice(0, -end.length);
      return readJsonSequence(calls) ?? readPythonCalls(calls);
    },
    follow: () => followJsonOrPython(marks),
  };
}

/** Formats by what their templates have in them, the more particular first. */
export const TOOL_FORMATS: readonly ToolFormat[] = [
  {
    name: 'deepseek',
    isIn: has('<｜tool▁calls▁begin｜>'),
    begin: '<｜tool▁calls▁begin｜>',
    end: '<｜tool▁calls▁end｜>',
    read: readDeepSeek,
    rest: besideDeepSeek,
    follow: () =>
      new HeadFollower(
        /^\s*(?:```\s*)?(?:<｜tool▁call▁end｜>\s*)?<｜tool▁call▁begin｜>\s*(?:\w+<｜tool▁sep｜>)?(?<name>[\w.-]+)\s*(?:<｜tool▁sep｜>\s*|\n```json\n)$/,
      ),
  },
  {
    name: 'kimi',
    isIn: has('<|tool_calls_section_begin|>'),
    begin: '<|tool_calls_section_begin|>',
    end: '<|tool_calls_section_end|>',
    read: readKimi,
    rest: besideKimi,
    follow: () =>
      new HeadFollower(
        /^\s*(?:<\|tool_call_end\|>\s*)?<\|tool_call_begin\|>\s*(?<id>(?:functions\.)?(?<name>[\w.-]+?)(?::\d+)?)\s*<\|tool_call_argument_begin\|>\s*$/,
      ),
  },
  {
    name: 'python of OLMo',
    isIn: has('<function_calls>'),
    begin: '<function_calls>',
    end: '</function_calls>',
    read: readPython,
    follow: () => followJsonOrPython(FENCES),
  },
  {
    name: 'python of MiniCPM',
    isIn: has('<|tool_call_start|>'),
    begin: '<|tool_call_start|>',
    end: '<|tool_call_end|>',
    read: (body) => readPython(body) ?? readJson(body),
    follow: () => followJsonOrPython(FENCES),
  },
  {
    name: 'function xml of Seed',
    isIn: has('<seed:tool_call>'),
    begin: '<seed:tool_call>',
    end: '</seed:tool_call>',
    read: readFunctionXml,
    rest: besideXml,
    follow: followXml,
  },
  {
    name: 'function xml',
    isIn: has('<tool_call>', '<function='),
    begin: '<tool_call>',
    end: '</tool_call>',
    read: readFunctionXml,
    rest: besideXml,
    follow: followXml,
  },
  {
    name: 'argument pairs',
    isIn: has('<tool_call>', '<arg_key>'),
    begin: '<tool_call>',
    end: '</tool_call>',
    read: readArgPairs,
    rest: besidePairs,
    follow: followPairs,
  },
  {
    name: 'fenced json',
    isIn: has('<tool_call>', '```json'),
    begin: '<tool_call>',
    end: '</tool_call>',
    around: { begin: '<tool_calls>', end: '</tool_calls>' },
    read: (body) => readFencedJson(body) ?? readJson(body),
    follow: () => followJsonOrHeads(/^\s*(?<name>[\w.-]+)\s*\n```json\n\s*$/),
  },
  {
    name: 'hermes',
    isIn: has('<tool_call>'),
    begin: '<tool_call>',
    end: '</tool_call>',
    read: readJson,
    follow: followJson,
  },
  {
    name: 'json list',
    isIn: has('<tool_calls>'),
    begin: '<tool_calls>',
    end: '</tool_calls>',
    read: readJson,
    follow: followJson,
  },
  {
    name: 'mistral',
    isIn: has('[TOOL_CALLS]'),
    begin: '[TOOL_CALLS]',
    end: undefined,
    read: readMistral,
    follow: () => followJsonOrHeads(/^\s*(?:\[TOOL_CALLS\])?\s*(?<name>[\w.-]+)(?:\[ARGS\])?\s*$/),
  },
  {
    name: 'cohere',
    isIn: has('<|START_ACTION|>'),
    begin: '<|START_ACTION|>',
    end: '<|END_ACTION|>',
    read: readJson,
    follow: followJson,
  },
  {
    name: 'internlm',
    isIn: has('<|action_start|>'),
    begin: '<|action_start|><|plugin|>',
    end: '<|action_end|>',
    read: readJson,
    follow: followJson,
  },
  {
    name: 'functools',
    isIn: has('functools['),
    begin: 'functools',
    end: undefined,
    read: readJson,
    follow: followJson,
  },
  {
    name: 'phi',
    isIn: has('<|tool_call|>', '<|/tool_call|>'),
    begin: '<|tool_call|>',
    end: '<|/tool_call|>',
    read: readJson,
    follow: followJson,
  },
  {
    name: 'granite',
    isIn: has('<|tool_call|>'),
    begin: '<|tool_call|>',
    end: undefined,
    read: readJson,
    follow: followJson,
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
    follow: () => new HeadFollower(/^\s*(?<name>[\w.-]+)\s*\n\s*$/),
  },
  // The template of Llama 4 shows these marks around texts before calls; its models write calls between them, too.
  llamaCalls(
    'llama 4',
    { begin: '<|python_start|>', end: '<|python_end|>' },
    (template) => has('<|python_start|>')(template) || has('<|header_start|>', 'tool_calls')(template),
  ),
  llamaCalls(
    'llama json',
    { begin: '<|python_tag|>' },
    (template) => template.includes('<|python_tag|>') || /"parameters"/.test(template),
  ),
];
