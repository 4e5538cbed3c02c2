import { opensReasoning } from '../../answers/answer-parser.js';
import { type AnswerReader, answerFormat, answerReader } from '../../answers/answer-reader.js';
import { readMedia } from '../../engine/media/prepare.js';
import type { Guide } from '../../guided/index.js';
import type { Insert } from '../../media/index.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import type { ServedModel } from '../served-model.js';
import { CallReader, ForcedReader } from './call-answers.js';
import type { Tool, ToolChoice } from './conversation.js';
import { renderTaken } from './strict-templates.js';
import { chooseTools } from './tool-guides.js';

/** A conversation that is to be answered, whatever API it came by. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  /** What clients call those parts of messages that have no such place in `messages`. */
  readonly partNames?: ReadonlyMap<unknown, string>;
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice;
  /** Whether an answer may have several calls; true when absent. */
  readonly mayCallSeveral?: boolean | undefined;
  readonly addGenerationPrompt?: boolean | undefined;
  /** The answer goes on with the last message. */
  readonly continueFinalMessage?: boolean | undefined;
  /** What the answer must be, behind its reasoning. */
  readonly guide?: Guide | undefined;
  /** What a template for answers out of documents shows. */
  readonly documents?: readonly object[] | undefined;
  /** Further variables of the chat template. */
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined;
}

/** A conversation made ready: its prompt, and what reads its answers. */
export interface PreparedChat {
  readonly promptTokens: Int32Array;
  /** What stands among them that is no text. */
  readonly inserts: readonly Insert[];
  /** Whether marks of answers, which may be special tokens, must be seen: those of calls, channels and reasoning. */
  readonly showsMarks: boolean;
  /** What the answer must be with all that it begins with; calls, where it must be these. */
  readonly guide: Guide | undefined;
  readonly reader: () => AnswerReader;
}

/** @throws REQUEST_INVALID, TEMPLATE_*, MEDIA_*, HttpError for a choice of tools that makes no sense */
export async function prepareChat(model: ServedModel, request: ChatRequest): Promise<PreparedChat> {
  const { toolChoice, mayCallSeveral = true, kwargs, documents } = request;
  const { addGenerationPrompt, continueFinalMessage } = request;
  const { messages: read, expand } = await readMedia(request.messages, model.llm.text, request.partNames);
  const { tools: chosen, forced } = chooseTools(request.tools, toolChoice, mayCallSeveral);
  const tools = chosen.length > 0 ? chosen : undefined;
  const options = {
    ...{ tools, documents },
    addGenerationPrompt,
    continueFinalMessage,
    ...(kwargs && { chatTemplateKwargs: kwargs }),
  };
  const textOf = (taken: readonly ChatMessage[]) => model.inputBuilder.renderChatTemplate(taken, options);
  const encode = async (taken: readonly ChatMessage[]) => ({
    messages: taken,
    tokens: await model.inputBuilder.applyChatTemplateAsync(taken, options),
  });
  const { messages, tokens } = await renderTaken(read, encode, textOf);
  const { tokens: promptTokens, inserts } = expand(tokens);
  const format = answerFormat(model.inputBuilder.templateSource);
  const { reasoning } = format;
  // Some templates end inside reasoning.
  const rendered = reasoning && textOf(messages);
  const isOpen = reasoning !== undefined && opensReasoning(rendered ?? '', reasoning);
  const { guide } = request;
  const isMarkSpecial = reasoning !== undefined && isSpecial(model, reasoning.end);
  // A guide spells what tokens write, and special ones write nothing: there the answer begins with what is guided.
  const isSpelled = isOpen && !isMarkSpecial;
  const after = guide !== undefined && isSpelled ? reasoning.end : undefined;
  const parameters = new Map(
    chosen.map(({ function: { name, parameters: schema } }) => [name, schema] as const),
  );
  const prompt = guide === undefined || after !== undefined ? rendered : undefined;
  const reader = (): AnswerReader => {
    const own = forced
      ? new ForcedReader(forced)
      : answerReader(format, { mayCall: tools !== undefined, prompt, parameters });
    return new CallReader(own, { mayCallSeveral, hasShortIds: format.tools?.name === 'mistral' });
  };
  return {
    ...{ promptTokens, inserts, reader },
    showsMarks: tools !== undefined || format.hasChannels || isMarkSpecial,
    guide: forced?.guide ?? (after === undefined ? guide : { ...guide, after }),
  };
}

function isSpecial({ tokenizer }: ServedModel, text: string): boolean {
  const id = tokenizer.tokenToId(text);
  return id !== undefined && tokenizer.isSpecial(id);
}

/** What templates call an effort: few know `none`, and many have a switch for it. */
export const effortKwargs = (effort: string | null | undefined): Record<string, unknown> => ({
  ...(effort && { reasoning_effort: effort }),
  ...(effort === 'none' && { enable_thinking: false }),
});

/** Tokens that an answer may have when nobody says: all that the context still holds. */
export function room(model: ServedModel, { promptTokens }: PreparedChat): number {
  return Math.max(1, model.llm.maxModelLen - promptTokens.length);
}
