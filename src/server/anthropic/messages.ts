import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { AnswerReader } from '../../answers/answer-reader.js';
import type { Generation, GenerationResult } from '../../engine/generation.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { AnswerBlocks, type BlockEvent, wholeBlocks } from '../answer-blocks.js';
import { EventStream } from '../event-stream.js';
import { ForeignParts } from '../foreign-parts.js';
import type { HttpError } from '../http-error.js';
import { newId, type ServerContext, withAnswers } from '../openai/answers.js';
import { readBody } from '../openai/fields.js';
import { type ChatRequest, effortKwargs, prepareChat } from '../openai/prepare-chat.js';
import type { ServedModel } from '../served-model.js';
import { refuseUnbuilt, UNBUILT } from '../unbuilt.js';
import { conversationFields, messagesOf, toolChoiceOf, toolsOf } from './conversation.js';

/** What the answer must be. Its place was output_format at first. */
const outputFormat = z.looseObject({ type: z.literal('json_schema'), schema: z.unknown() });

export const messagesBody = z.object({
  ...conversationFields,
  max_tokens: z.int().min(1),
  stop_sequences: z.array(z.string()).nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  top_k: z.int().nullish(),
  thinking: z.looseObject({ type: z.string() }).nullish(),
  output_config: z.looseObject({ format: outputFormat.nullish(), effort: z.string().nullish() }).nullish(),
  output_format: outputFormat.nullish(),
});
type MessagesBody = z.infer<typeof messagesBody>;
export const countBody = z.object(conversationFields);

const KINDS: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
};

/** An error in the shape that Anthropic's clients read: the field at fault stands before what is wrong with it. */
export function anthropicError({ status, message, param, code }: HttpError, requestId: string): object {
  const type = KINDS[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  const isNamed = param === null || message.includes(param);
  // By its words agents know that it is time to shorten the conversation.
  const about = code === 'context_length_exceeded' ? 'prompt is too long: ' : isNamed ? '' : `${param}: `;
  const error = { type, message: about + message };
  return { type: 'error', error, request_id: requestId };
}

function requestOf(model: ServedModel, body: z.infer<typeof countBody>): ChatRequest {
  const parts = new ForeignParts(model.llm.text.media !== undefined);
  const messages = messagesOf(body, parts);
  return {
    ...{ messages, partNames: parts.names, tools: toolsOf(body), toolChoice: toolChoiceOf(body) },
    mayCallSeveral: !body.tool_choice?.disable_parallel_tool_use,
    continueFinalMessage: isBegun(messages.at(-1)),
  };
}

/** Whether the last message is the beginning of the answer: what the assistant has said of it. */
const isBegun = (last: ChatMessage | undefined): boolean =>
  last?.role === 'assistant' && last.tool_calls === undefined && last.content !== '';

/** `POST /v1/messages/count_tokens`. */
export async function countTokens(model: ServedModel, given: unknown): Promise<object> {
  const body = readBody(countBody, given);
  const { promptTokens } = await prepareChat(model, requestOf(model, body));
  return { input_tokens: promptTokens.length };
}

/** `POST /v1/messages`. Fields that it does not know, as coding agents send them, are left alone. */
export async function createMessage(
  context: ServerContext,
  model: ServedModel,
  given: unknown,
  client: string | undefined,
  reply: FastifyReply,
): Promise<object | undefined> {
  const body = readBody(messagesBody, given);
  refuseUnbuilt(given, UNBUILT.messages);
  const format = body.output_config?.format ?? body.output_format;
  const chat = await prepareChat(model, {
    ...requestOf(model, body),
    guide: format ? { jsonSchema: format.schema } : undefined,
    kwargs: {
      ...(body.thinking && { enable_thinking: body.thinking.type !== 'disabled' }),
      ...effortKwargs(body.output_config?.effort),
    },
  });
  const { promptTokens, inserts, reader, guide, showsMarks } = chat;
  const sampling = {
    maxTokens: body.max_tokens,
    stop: body.stop_sequences ?? undefined,
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    topK: body.top_k ?? undefined,
    ...(showsMarks && { skipSpecialTokens: false }),
  };
  const options = client === undefined ? {} : { client };
  const work = { model, promptTokens, inserts, sampling, options, guide, n: 1 };
  return withAnswers(context, reply, [work], async (answers) => {
    const generation = answers[0]?.[0] as Generation;
    const head = { id: newId('msg_'), type: 'message', role: 'assistant', model: model.name };
    if (body.stream) {
      const usage = usageFields(promptTokens.length, 0, 0);
      await streamed(generation, reader(), { ...head, usage }, body, reply);
      return undefined;
    }
    const result = await generation.result;
    const own = reader();
    const blocks = wholeBlocks([...own.push(result.text), ...own.end()]);
    const content = blocks.map((block) => {
      if (block.kind === 'text') return { type: 'text', text: block.text };
      if (block.kind === 'reasoning') return { type: 'thinking', thinking: block.text, signature: '' };
      const { id = newId('toolu_'), name, arguments: args } = block.call;
      return { type: 'tool_use', id, name, input: JSON.parse(args) as object };
    });
    const calls = blocks.some(({ kind }) => kind === 'tool-call');
    return {
      ...head,
      content,
      ...stopOf(result, calls, body),
      usage: usageOf(result),
    };
  });
}

const usageOf = ({ promptTokens, cachedTokens, tokens }: GenerationResult): object =>
  usageFields(promptTokens, cachedTokens, tokens.length);

/** What was found in the cache is counted apart; that everything else is kept there has no price. */
const usageFields = (promptTokens: number, cachedTokens: number, outputTokens: number): object => ({
  input_tokens: promptTokens - cachedTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: cachedTokens,
  output_tokens: outputTokens,
});

function stopOf(
  { finishReason, stopReason, tokens }: GenerationResult,
  calls: boolean,
  { max_tokens: most }: MessagesBody,
): { stop_reason: string; stop_sequence: string | null } {
  if (calls) return { stop_reason: 'tool_use', stop_sequence: null };
  if (typeof stopReason === 'string') return { stop_reason: 'stop_sequence', stop_sequence: stopReason };
  const isCut = finishReason === 'length' || (stopReason === undefined && tokens.length >= most);
  return { stop_reason: isCut ? 'max_tokens' : 'end_turn', stop_sequence: null };
}

async function streamed(
  generation: Generation,
  reader: AnswerReader,
  head: object,
  body: MessagesBody,
  reply: FastifyReply,
): Promise<void> {
  const events = new EventStream(reply);
  const send = (data: { readonly type: string } & Record<string, unknown>): Promise<void> =>
    events.send(data, data.type);
  const blocks = new AnswerBlocks();
  let calls = false;
  let hasFailed = false;
  const sendBlocks = async (found: readonly BlockEvent[]): Promise<void> => {
    for (const event of found) {
      calls ||= event.kind === 'tool-call';
      hasFailed ||= event.type === 'close' && event.hasFailed;
      for (const wire of wireBlocks(event)) await send(wire);
    }
  };
  try {
    const message = { ...head, content: [], stop_reason: null, stop_sequence: null };
    await send({ type: 'message_start', message });
    for await (const { text } of generation) await sendBlocks(blocks.take(reader.push(text)));
    await sendBlocks([...blocks.take(reader.end()), ...blocks.end()]);
    const result = await generation.result;
    const isCut = hasFailed && result.finishReason === 'length';
    const delta = stopOf(result, calls && !isCut, body);
    await send({ type: 'message_delta', delta, usage: usageOf(result) });
    await send({ type: 'message_stop' });
  } catch (error) {
    await events.send(anthropicError(events.errorOf(error), reply.request.id), 'error').catch(() => {});
  } finally {
    events.end();
  }
}

function wireBlocks(event: BlockEvent): ({ readonly type: string } & Record<string, unknown>)[] {
  const { index, kind } = event;
  if (event.type === 'close') {
    // Clients wait for it; nobody here checks thoughts that come back.
    const signature = {
      type: 'content_block_delta',
      index,
      delta: { type: 'signature_delta', signature: '' },
    };
    return [...(kind === 'reasoning' ? [signature] : []), { type: 'content_block_stop', index }];
  }
  if (event.type === 'open') {
    const empty = {
      text: { type: 'text', text: '' },
      reasoning: { type: 'thinking', thinking: '', signature: '' },
      'tool-call': {
        type: 'tool_use',
        id: event.call?.id ?? newId('toolu_'),
        name: event.call?.name,
        input: {},
      },
    };
    return [{ type: 'content_block_start', index, content_block: empty[kind] }];
  }
  const deltas = {
    text: { type: 'text_delta', text: event.text },
    reasoning: { type: 'thinking_delta', thinking: event.text },
    'tool-call': { type: 'input_json_delta', partial_json: event.text },
  };
  return [{ type: 'content_block_delta', index, delta: deltas[kind] }];
}
