import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Generation } from '../../engine/generation.js';
import { EventStream } from '../event-stream.js';
import { httpErrorOf, invalidRequest, openAiError } from '../http-error.js';
import type { ServedModel } from '../served-model.js';
import {
  finishReasonOf,
  newId,
  nowSeconds,
  type ServerContext,
  usageOf,
  type Work,
  withAnswers,
} from './answers.js';
import { generateOptionsOf, guideOf, readBody, SAMPLING_FIELDS, samplingOf } from './fields.js';
import { completionLogprobs } from './logprobs.js';
import { mergeStreams } from './merge-streams.js';

const MAX_PROMPTS = 128;
const tokenIds = z.array(z.int().min(0)).min(1);

export const completionBody = z.object({
  ...SAMPLING_FIELDS,
  prompt: z.union([z.string(), tokenIds, z.array(z.string()).min(1), z.array(tokenIds).min(1)]),
  logprobs: z.int().min(0).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  best_of: z.int().min(1).nullish(),
});
type CompletionBody = z.infer<typeof completionBody>;

/** `POST /v1/completions`. */
export async function complete(
  context: ServerContext,
  model: ServedModel,
  given: unknown,
  client: string | undefined,
  reply: FastifyReply,
): Promise<object | undefined> {
  const body = readBody(completionBody, given);
  if (body.suffix)
    throw invalidRequest('suffix is not supported: this model completes what comes before', 'suffix');
  const n = body.n ?? 1;
  if (body.best_of && body.best_of !== n)
    throw invalidRequest('best_of must be n: answers are not ranked', 'best_of');
  const prompts = await promptsOf(model, body.prompt);
  const sampling = { ...samplingOf(body), ...(body.logprobs != null && { logprobs: body.logprobs }) };
  const works = prompts.map(
    ({ tokens }): Work => ({
      model,
      promptTokens: tokens,
      sampling,
      options: generateOptionsOf(body, client),
      guide: guideOf(body),
      n,
    }),
  );
  return withAnswers(context, reply, works, async (generations) => {
    const answers = generations.flat();
    const echoes = generations.flatMap((own, i) =>
      own.map(() => (body.echo ? (prompts[i]?.text ?? '') : '')),
    );
    const id = newId('cmpl');
    const head = { id, object: 'text_completion', created: nowSeconds(), model: model.name };
    const promptTokens = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
    if (body.stream) {
      await streamed(model, body, answers, echoes, head, promptTokens, new EventStream(reply));
      return undefined;
    }
    const results = await Promise.all(answers.map(({ result }) => result));
    const choices = results.map((result, index) => ({
      index,
      text: `${echoes[index]}${result.text}`,
      finish_reason: finishReasonOf(result),
      logprobs:
        body.logprobs == null
          ? null
          : completionLogprobs(model.tokenizer, result.tokens, result.logprobs, (echoes[index] ?? '').length),
    }));
    return {
      ...head,
      choices,
      usage: usageOf(
        promptTokens,
        results.map(({ tokens }) => tokens.length),
      ),
    };
  });
}

async function streamed(
  model: ServedModel,
  body: CompletionBody,
  answers: readonly Generation[],
  echoes: readonly string[],
  head: object,
  promptTokens: number,
  events: EventStream,
): Promise<void> {
  const withUsage = body.stream_options?.include_usage === true;
  const offsets = echoes.map(({ length }) => length);
  const choice = (index: number, text: string, more: object = {}): object => ({
    ...head,
    choices: [{ index, text, logprobs: null, finish_reason: null, ...more }],
    ...(withUsage && { usage: null }),
  });
  try {
    for (const [index, echo] of echoes.entries()) if (echo !== '') await events.send(choice(index, echo));
    for await (const [index, { text, tokens, logprobs }] of mergeStreams(answers)) {
      const offset = offsets[index] ?? 0;
      offsets[index] = offset + text.length;
      const more =
        body.logprobs == null
          ? {}
          : { logprobs: completionLogprobs(model.tokenizer, tokens, logprobs, offset) };
      if (text !== '' || body.logprobs != null) await events.send(choice(index, text, more));
    }
    const results = await Promise.all(answers.map(({ result }) => result));
    for (const [index, result] of results.entries())
      await events.send(choice(index, '', { finish_reason: finishReasonOf(result) }));
    if (withUsage) {
      const usage = usageOf(
        promptTokens,
        results.map(({ tokens }) => tokens.length),
      );
      await events.send({ ...head, choices: [], usage });
    }
    await events.send('[DONE]');
  } catch (error) {
    await events.send(openAiError(httpErrorOf(error))).catch(() => {});
  } finally {
    events.end();
  }
}

interface Prompt {
  readonly text: string;
  readonly tokens: readonly number[];
}

/** One prompt or several, as texts or as token ids. */
async function promptsOf(model: ServedModel, prompt: CompletionBody['prompt']): Promise<Prompt[]> {
  const { tokenizer } = model;
  const list: readonly (string | readonly number[])[] =
    typeof prompt === 'string' || typeof prompt[0] === 'number'
      ? [prompt as string | number[]]
      : (prompt as readonly (string | number[])[]);
  if (list.length > MAX_PROMPTS) throw invalidRequest(`at most ${MAX_PROMPTS} prompts at once`, 'prompt');
  return Promise.all(
    list.map(async (given) => {
      const tokens = typeof given === 'string' ? await tokenizer.encodeAsync(given) : given;
      if (tokens.length === 0) throw invalidRequest('prompt must not be empty', 'prompt');
      return { tokens, text: typeof given === 'string' ? given : tokenizer.decode(given) };
    }),
  );
}
