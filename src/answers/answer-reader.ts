import { type ArgumentKind, OBJECT, requireArgument, TEXT } from '../require-argument.js';
import type { AnswerEvent } from './answer-event.js';
import { AnswerParser } from './answer-parser.js';
import type { ToolParameters } from './argument-types.js';
import { ChannelParser, hasChannels } from './channel-parser.js';
import { REASONING_FORMATS, type ReasoningFormat } from './reasoning-formats.js';
import { TOOL_FORMATS, type ToolFormat } from './tool-formats.js';

/** How the answers of a model are read. */
export interface AnswerFormat {
  readonly reasoning: ReasoningFormat | undefined;
  readonly tools: ToolFormat | undefined;
  /** They are messages in channels, whose marks are special tokens. */
  readonly hasChannels: boolean;
}

/** How the pieces of one answer become events. */
export interface AnswerReader {
  push(text: string): AnswerEvent[];
  end(): AnswerEvent[];
}

/** The format of a chat template's answers: its template shows the model how it is to write. */
export function answerFormat(template: string): AnswerFormat {
  requireArgument('answerFormat', 'the template', TEXT, template);
  if (hasChannels(template)) return { reasoning: undefined, tools: undefined, hasChannels: true };
  return {
    reasoning: REASONING_FORMATS.find(
      ({ begin, end, answer }) =>
        (template.includes(begin) || template.includes(end)) &&
        (answer === undefined || template.includes(answer.begin)),
    ),
    tools: TOOL_FORMATS.find(({ isIn }) => isIn(template)),
    hasChannels: false,
  };
}

const FORMAT: ArgumentKind = {
  expected: 'a format, as answerFormat(template) gives it',
  holds: (value) => OBJECT.holds(value) && 'hasChannels' in (value as object),
};

/** What reads an answer. `prompt`: the text before it; where that ends inside reasoning, the answer begins there. */
export function answerReader(
  format: AnswerFormat,
  options: {
    readonly mayCall: boolean;
    readonly prompt?: string | undefined;
    /** What the tools take, by their names: arguments that stand without quotes are of these types. */
    readonly parameters?: ToolParameters | undefined;
  },
): AnswerReader {
  requireArgument('answerReader', 'the format', FORMAT, format);
  requireArgument('answerReader', 'the options', OBJECT, options);
  const { mayCall, prompt, parameters } = options;
  if (format.hasChannels) return new ChannelParser({ mayCall });
  const { reasoning, tools } = format;
  return new AnswerParser({
    reasoning,
    tools: mayCall ? tools : undefined,
    ...(prompt !== undefined && { prompt }),
    ...(parameters !== undefined && { parameters }),
  });
}
