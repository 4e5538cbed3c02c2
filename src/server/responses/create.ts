import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { AnswerReader } from '../../answers/answer-reader.js';
import type { Generation, GenerationResult } from '../../engine/generation.js';
import type { Guide } from '../../guided/index.js';
import { AnswerBlocks, wholeBlocks } from '../answer-blocks.js';
import { EventStream } from '../event-stream.js';
import { ForeignParts } from '../foreign-parts.js';
import { invalidRequest, openAiError } from '../http-error.js';
import { newId, nowSeconds, reasoningTokens, type ServerContext, withAnswers } from '../openai/answers.js';
import { readBody } from '../openai/fields.js';
import { effortKwargs, prepareChat, room } from '../openai/prepare-chat.js';
import type { ServedModel } from '../served-model.js';
import { conversationFields, messagesOf } from './items.js';
import { type Output, OutputEvents, outputOf, thoughtsOf } from './output.js';
import { toolChoiceOf, toolsIn, toolsOf } from './tools.js';

export const responseBody = z.object({
  ...conversationFields,
  model: z.string().nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  stream: z.boolean().nullish(),
  text: z
    .object({
      format: z
        .looseObject({ type: z.enum(['text', 'json_object', 'json_schema']), schema: z.unknown().optional() })
        .nullish(),
    })
    .nullish(),
  reasoning: z.looseObject({ effort: z.string().nullish() }).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z.unknown().optional(),
  background: z.boolean().nullish(),
  prompt: z.unknown().optional(),
  top_logprobs: z.int().nullish(),
  include: z.array(z.string()).nullish(),
});
type ResponseBody = z.infer<typeof responseBody>;

/** What would need a memory of earlier requests: nothing is stored here. */
const STATE = ['previous_response_id', 'conversation', 'background', 'prompt'] as const;

/** What `include` may ask for beside what is never there. */
const LOGPROBS = 'message.output_text.logprobs';

/** `POST /v1/responses`: the part of the Responses API that needs no state. */
export async function createResponse(
  context: ServerContext,
  model: ServedModel,
  given: unknown,
  client: string | undefined,
  reply: FastifyReply,
): Promise<object | undefined> {
  const body = readBody(responseBody, given);
  for (const field of STATE)
    if (body[field])
      throw invalidRequest(`${field}: responses are not stored here; send the whole input`, field);
  if (body.top_logprobs || body.include?.includes(LOGPROBS))
    throw invalidRequest(
      'log-probabilities are not given here; /v1/chat/completions has logprobs and top_logprobs',
      body.top_logprobs ? 'top_logprobs' : 'include',
    );
  const { functions, byName } = toolsOf([...(body.tools ?? []), ...toolsIn(body.input)]);
  const parts = new ForeignParts(model.llm.text.media !== undefined);
  const chat = await prepareChat(model, {
    messages: messagesOf(body, parts),
    partNames: parts.names,
    tools: functions,
    toolChoice: toolChoiceOf(body),
    mayCallSeveral: body.parallel_tool_calls ?? undefined,
    guide: guideOf(body),
    kwargs: effortKwargs(body.reasoning?.effort),
  });
  const { promptTokens, inserts, reader, guide, showsMarks } = chat;
  const sampling = {
    maxTokens: body.max_output_tokens ?? room(model, chat),
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    ...(showsMarks && { skipSpecialTokens: false }),
  };
  const work = { model, promptTokens, inserts, sampling, options: client ? { client } : {}, guide, n: 1 };
  return withAnswers(context, reply, [work], async (answers) => {
    const generation = answers[0]?.[0] as Generation;
    const head = headOf(model, body);
    if (body.stream) {
      await streamed(model, generation, reader(), new OutputEvents(byName), head, new EventStream(reply));
      return undefined;
    }
    const result = await generation.result;
    const own = reader();
    const output = outputOf(wholeBlocks([...own.push(result.text), ...own.end()]), byName, isCut(result));
    return finished(model, head, output, result);
  });
}

function guideOf({ text }: ResponseBody): Guide | undefined {
  const format = text?.format;
  if (format?.type === 'json_object') return { jsonSchema: { type: 'object' } };
  if (format?.type !== 'json_schema') return undefined;
  if (format.schema === undefined)
    throw invalidRequest('text.format.schema is missing', 'text.format.schema');
  return { jsonSchema: format.schema };
}

/** What a response says of its request. */
function headOf(model: ServedModel, body: ResponseBody): object {
  return {
    id: newId('resp_'),
    object: 'response',
    created_at: nowSeconds(),
    model: model.name,
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: null },
    store: false,
    temperature: body.temperature ?? null,
    text: body.text ?? { format: { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_p: body.top_p ?? null,
    truncation: 'disabled',
  };
}

const isCut = ({ finishReason }: GenerationResult): boolean => finishReason === 'length';

async function finished(
  model: ServedModel,
  head: object,
  output: readonly Output[],
  result: GenerationResult,
): Promise<object> {
  const reasoning = await reasoningTokens(model, output.map(thoughtsOf));
  const { promptTokens, cachedTokens, tokens } = result;
  return {
    ...head,
    status: isCut(result) ? 'incomplete' : 'completed',
    ...(isCut(result) && { incomplete_details: { reason: 'max_output_tokens' } }),
    output,
    usage: {
      input_tokens: promptTokens,
      input_tokens_details: { cached_tokens: cachedTokens },
      output_tokens: tokens.length,
      output_tokens_details: { reasoning_tokens: Math.min(reasoning, tokens.length) },
      total_tokens: promptTokens + tokens.length,
    },
  };
}

async function streamed(
  model: ServedModel,
  generation: Generation,
  reader: AnswerReader,
  output: OutputEvents,
  head: object,
  events: EventStream,
): Promise<void> {
  let number = 0;
  const send = (data: { readonly type: string }): Promise<void> =>
    events.send({ ...data, sequence_number: number++ }, data.type);
  const blocks = new AnswerBlocks();
  try {
    const begun = { ...head, status: 'in_progress', output: [], usage: null };
    await send({ type: 'response.created', response: begun } as { type: string });
    await send({ type: 'response.in_progress', response: begun } as { type: string });
    for await (const { text } of generation)
      for (const event of output.take(blocks.take(reader.push(text)))) await send(event);
    const result = await generation.result;
    const last = [...blocks.take(reader.end()), ...blocks.end(isCut(result))];
    for (const event of output.take(last)) await send(event);
    const response = await finished(model, head, output.items, result);
    const type = isCut(result) ? 'response.incomplete' : 'response.completed';
    await send({ type, response } as { type: string });
  } catch (error) {
    const found = events.errorOf(error);
    const { message, code, param } = found;
    // Codex looks at this alone; else it takes a failure for a lost connection, and tries again.
    const failed = {
      ...head,
      status: 'failed',
      output: output.items,
      error: { code: code ?? 'server_error', message },
    };
    await send({ type: 'response.failed', response: failed } as { type: string }).catch(() => {});
    // The fields are the API's; its clients fail by what stands under `error`.
    const said = { type: 'error', code, message, param, ...openAiError(found) };
    await send(said).catch(() => {});
  } finally {
    events.end();
  }
}
