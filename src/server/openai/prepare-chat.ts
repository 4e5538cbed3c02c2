import type { AnswerEvent } from '../../answers/answer-event.js';
import { type AnswerReader, answerFormat, answerReader } from '../../answers/answer-reader.js';
import { readMedia } from '../../engine/media/prepare.js';
import type { Insert } from '../../media/index.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import type { ServedModel } from '../served-model.js';
import type { Tool, ToolChoice } from './conversation.js';
import { type ToolGuide, toolGuide } from './tool-guides.js';

/** A conversation that is to be answered, whatever API it came by. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  /** What clients call those parts of messages that have no such place in `messages`. */
  readonly partNames?: ReadonlyMap<unknown, string>;
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice;
  readonly addGenerationPrompt?: boolean | undefined;
  /** The answer goes on with the last message. */
  readonly continueFinalMessage?: boolean | undefined;
  /** Further variables of the chat template. */
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined;
}

/** A conversation made ready: its prompt, and what reads its answers. */
export interface PreparedChat {
  readonly promptTokens: Int32Array;
  /** What stands among them that is no text. */
  readonly inserts: readonly Insert[];
  /** Whether marks of answers, which may be special tokens, must be seen: those of calls and channels. */
  readonly showsMarks: boolean;
  /** Set where the answer must be calls. */
  readonly forced: ToolGuide | undefined;
  readonly reader: () => AnswerReader;
}

/** @throws REQUEST_INVALID, TEMPLATE_*, MEDIA_*, HttpError for a choice of tools that makes no sense */
export async function prepareChat(model: ServedModel, request: ChatRequest): Promise<PreparedChat> {
  const { toolChoice, kwargs, addGenerationPrompt, continueFinalMessage } = request;
  const { messages, expand } = await readMedia(request.messages, model.llm.text, request.partNames);
  const forced = toolGuide(request.tools, toolChoice);
  const tools = toolChoice !== 'none' && request.tools.length > 0 ? request.tools : undefined;
  const options = {
    tools,
    addGenerationPrompt,
    continueFinalMessage,
    ...(kwargs && { chatTemplateKwargs: kwargs }),
  };
  const { tokens: promptTokens, inserts } = expand(
    await model.inputBuilder.applyChatTemplateAsync(messages, options),
  );
  const format = answerFormat(model.inputBuilder.templateSource);
  // Some templates end inside reasoning.
  const prompt = format.reasoning && model.inputBuilder.renderChatTemplate(messages, options);
  const reader = (): AnswerReader =>
    forced === undefined
      ? answerReader(format, { mayCall: tools !== undefined, prompt })
      : new ForcedReader(forced);
  return { promptTokens, inserts, showsMarks: tools !== undefined || format.hasChannels, forced, reader };
}

/** Tokens that an answer may have when nobody says: all that the context still holds. */
export function room(model: ServedModel, { promptTokens }: PreparedChat): number {
  return Math.max(1, model.llm.maxModelLen - promptTokens.length);
}

/** The answer as a whole is calls. */
class ForcedReader implements AnswerReader {
  readonly #guide: ToolGuide;
  #text = '';

  constructor(guide: ToolGuide) {
    this.#guide = guide;
  }

  push(text: string): AnswerEvent[] {
    this.#text += text;
    return [];
  }

  end(): AnswerEvent[] {
    try {
      return this.#guide.read(this.#text).map((call) => ({ kind: 'tool-call', call }));
    } catch {
      // A stop string ended it half-way.
      return [{ kind: 'text', text: this.#text }];
    }
  }
}
