import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { type ToolCall, wholeEvents } from '../../answers/answer-event.js';
import type { AnswerReader } from '../../answers/answer-reader.js';
import type { Generation, GenerationResult } from '../../engine/generation.js';
import { EventStream } from '../event-stream.js';
import { invalidRequest, openAiError } from '../http-error.js';
import type { ServedModel } from '../served-model.js';
import {
  finishReasonOf,
  newId,
  nowSeconds,
  reasoningTokens,
  type ServerContext,
  StreamUsage,
  usageOf,
  withAnswers,
} from './answers.js';
import { ChatDeltas, reasonOfCalls } from './chat-deltas.js';
import { forTemplate, message, toolChoice, tools } from './conversation.js';
import { generateOptionsOf, guideOf, readRequest, SAMPLING_FIELDS, samplingOf } from './fields.js';
import { functionCall, LEGACY_FIELDS, legacyTools, withoutLegacy } from './legacy-functions.js';
import { chatLogprobs, promptLogprobs } from './logprobs.js';
import { mergeStreams } from './merge-streams.js';
import { effortKwargs, type PreparedChat, prepareChat, room } from './prepare-chat.js';

export const chatBody = z.object({
  ...SAMPLING_FIELDS,
  messages: z.array(message).min(1),
  max_completion_tokens: z.int().nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: tools.nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  documents: z.array(z.record(z.string(), z.unknown())).nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  add_generation_prompt: z.boolean().nullish(),
  continue_final_message: z.boolean().nullish(),
  echo: z.boolean().nullish(),
  reasoning_effort: z.string().nullish(),
  ...LEGACY_FIELDS,
});
type ChatBody = z.infer<typeof chatBody>;

/** `POST /v1/chat/completions`. */
export async function completeChat(
  context: ServerContext,
  model: ServedModel,
  given: unknown,
  client: string | undefined,
  reply: FastifyReply,
): Promise<object | undefined> {
  const body = readRequest(chatBody, given);
  if (body.top_logprobs && !body.logprobs)
    throw invalidRequest('top_logprobs needs logprobs to be true', 'top_logprobs');
  const chat = await prepareChat(model, {
    messages: forTemplate(body.messages.map(withoutLegacy), model.llm.text.media !== undefined),
    tools: body.tools ?? [],
    toolChoice: body.tool_choice ?? 'auto',
    mayCallSeveral: body.parallel_tool_calls ?? undefined,
    ...legacyTools(body),
    guide: guideOf(body),
    addGenerationPrompt: body.add_generation_prompt ?? undefined,
    continueFinalMessage: body.continue_final_message ?? undefined,
    documents: body.documents ?? undefined,
    kwargs: { ...effortKwargs(body.reasoning_effort), ...body.chat_template_kwargs },
  });
  const { promptTokens, inserts, reader, guide } = chat;
  const sampling = {
    ...samplingOf(body),
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? room(model, chat),
    ...(body.logprobs && { logprobs: body.top_logprobs ?? 0 }),
    ...(chat.showsMarks && body.skip_special_tokens == null && { skipSpecialTokens: false }),
  };
  const work = {
    model,
    promptTokens,
    inserts,
    sampling,
    options: generateOptionsOf(body, client),
    guide,
    n: body.n ?? 1,
  };
  return withAnswers(context, reply, [work], async ([answers = []]) => {
    const head = { id: newId('chatcmpl-'), created: nowSeconds(), model: model.name };
    if (body.stream) {
      await streamed(model, body, answers, chat, head, new EventStream(reply));
      return undefined;
    }
    const results = await Promise.all(answers.map(({ result }) => result));
    const read = results.map((result) => joined(reader(), result));
    const choices = results.map((result, index) =>
      choiceOf(model, body, result, index, read[index] as Joined),
    );
    const reasoning = await reasoningTokens(
      model,
      read.map((one) => one.reasoning),
    );
    const [{ promptLogprobs: scores } = {}] = results;
    return {
      ...head,
      object: 'chat.completion',
      choices,
      usage: usageOf([results], reasoning),
      ...(scores && { prompt_logprobs: promptLogprobs(model.tokenizer, [...promptTokens], scores) }),
    };
  });
}

interface Joined {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly ToolCall[];
}

/** What an answer has of each kind. */
function joined(reader: AnswerReader, { text }: GenerationResult): Joined {
  const events = wholeEvents([...reader.push(text), ...reader.end()]);
  const of = (kind: 'text' | 'reasoning'): string =>
    events.map((event) => (event.kind === kind ? event.text : '')).join('');
  const calls = events.flatMap((event) => (event.kind === 'tool-call' ? [event.call] : []));
  return { text: of('text'), reasoning: of('reasoning'), calls };
}

function choiceOf(
  { tokenizer }: ServedModel,
  body: ChatBody,
  result: GenerationResult,
  index: number,
  read: Joined,
): object {
  const { calls } = read;
  const [text, reasoning] = [echoOf(body) + read.text, read.reasoning];
  return {
    index,
    message: {
      role: 'assistant',
      content: text === '' && calls.length > 0 ? null : text,
      refusal: null,
      ...(reasoning !== '' && { reasoning_content: reasoning }),
      ...(calls.length > 0 && callsOf(body, calls)),
    },
    logprobs: body.logprobs ? chatLogprobs(tokenizer, result.tokens, result.logprobs) : null,
    finish_reason: calls.length > 0 ? reasonOfCalls(isLegacy(body)) : finishReasonOf(result),
  };
}

/** The message that the answer goes on with, where it is to be part of the answer. */
function echoOf({ echo, continue_final_message: continues, messages }: ChatBody): string {
  const content = echo && continues ? messages.at(-1)?.content : undefined;
  if (!Array.isArray(content)) return content ?? '';
  return content.map(({ text }) => (typeof text === 'string' ? text : '')).join('\n');
}

const isLegacy = ({ functions }: ChatBody): boolean => Boolean(functions?.length);

function callsOf(body: ChatBody, calls: readonly ToolCall[]): object {
  const [first] = calls;
  return isLegacy(body) && first ? functionCall(first) : { tool_calls: calls.map(toolCall) };
}

const toolCall = ({ id = newId('call_'), ...call }: ToolCall): object => ({
  ...{ id, type: 'function' },
  function: call,
});

async function streamed(
  model: ServedModel,
  body: ChatBody,
  answers: readonly Generation[],
  { reader, promptTokens }: PreparedChat,
  given: object,
  events: EventStream,
): Promise<void> {
  const usage = new StreamUsage(body, promptTokens.length);
  const head = { ...given, object: 'chat.completion.chunk' };
  const deltas = answers.map(() => new ChatDeltas(reader(), isLegacy(body)));
  const chunk = (index: number, delta: object, more: object = {}): object => ({
    ...head,
    choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }],
    ...usage.fields,
  });
  try {
    for (const index of answers.keys())
      await events.send(chunk(index, { role: 'assistant', content: echoOf(body) }));
    for await (const [index, { text, tokens, logprobs }] of mergeStreams(answers)) {
      usage.take(tokens);
      const found = deltas[index]?.push(text) ?? [];
      const more = body.logprobs ? { logprobs: chatLogprobs(model.tokenizer, tokens, logprobs) } : {};
      for (const [at, delta] of (found.length === 0 && body.logprobs ? [{}] : found).entries())
        await events.send(chunk(index, delta, at === 0 ? more : {}));
    }
    const results = await Promise.all(answers.map(({ result }) => result));
    for (const [index, result] of results.entries()) {
      const own = deltas[index] as ChatDeltas;
      for (const delta of own.end()) await events.send(chunk(index, delta));
      await events.send(chunk(index, {}, { finish_reason: own.finishReason(result) }));
    }
    const reasoning = await reasoningTokens(
      model,
      deltas.map(({ thoughts }) => thoughts),
    );
    for (const last of usage.last(head, [results], reasoning)) await events.send(last);
  } catch (error) {
    await events.send(openAiError(events.errorOf(error))).catch(() => {});
  } finally {
    await events.send('[DONE]').catch(() => {});
    events.end();
  }
}
