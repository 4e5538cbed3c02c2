import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { likeliest } from '../../engine/completion.js';
import type { Generation, GenerationResult } from '../../engine/generation.js';
import { EventStream } from '../event-stream.js';
import { invalidRequest, openAiError } from '../http-error.js';
import type { ServedModel } from '../served-model.js';
import {
  finishReasonOf,
  newId,
  nowSeconds,
  type ServerContext,
  StreamUsage,
  usageOf,
  type Work,
  withAnswers,
} from './answers.js';
import {
  generateOptionsOf,
  guideOf,
  MAX_ANSWERS,
  readRequest,
  SAMPLING_FIELDS,
  samplingOf,
  texts,
  textsOf,
} from './fields.js';
import { CompletionLogprobs, promptLogprobs } from './logprobs.js';
import { mergeStreams } from './merge-streams.js';

/** Each is an answer at least; more would keep everybody else out for as long as they take. */
const MAX_PROMPTS = 128;

export const completionBody = z.object({
  ...SAMPLING_FIELDS,
  prompt: texts(MAX_PROMPTS),
  logprobs: z.int().min(0).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  add_special_tokens: z.boolean().nullish(),
  best_of: z.int().min(1).max(MAX_ANSWERS).nullish(),
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
  const body = readRequest(completionBody, given);
  const { logprobs } = body;
  if (body.suffix)
    throw invalidRequest('suffix is not supported: this model completes what comes before', 'suffix');
  const n = body.n ?? 1;
  const drawn = body.best_of ?? n;
  if (drawn < n) throw invalidRequest(`best_of must be at least n (${n})`, 'best_of');
  const scoresEcho = body.echo && logprobs != null;
  const writesNothing = body.max_tokens === 0;
  if (body.stream) {
    if (scoresEcho) throw invalidRequest('logprobs of an echoed prompt are not streamed', 'echo');
    if (drawn > n) throw invalidRequest('the best of several answers is known when all are there', 'best_of');
    if (writesNothing) throw invalidRequest('max_tokens must be at least 1 for a stream', 'max_tokens');
  }
  const answers = textsOf(body.prompt).length * drawn;
  if (answers > MAX_PROMPTS) throw invalidRequest(`${answers} answers are more than ${MAX_PROMPTS}`, 'n');
  const prompts = await promptsOf(model, body);
  const sampling = {
    ...samplingOf(body),
    // A prompt is scored with the token behind it, which nobody asked for.
    ...(writesNothing && { maxTokens: 1 }),
    ...((logprobs != null || drawn > n) && { logprobs: logprobs ?? 0 }),
    ...(scoresEcho && { promptLogprobs: Math.max(logprobs, body.prompt_logprobs ?? 0) }),
  };
  const works = prompts.map(
    ({ tokens }): Work => ({
      model,
      promptTokens: tokens,
      sampling,
      options: generateOptionsOf(body, client),
      guide: guideOf(body),
      n: drawn,
    }),
  );
  return withAnswers(context, reply, works, async (generations) => {
    const head = { id: newId('cmpl-'), object: 'text_completion', created: nowSeconds(), model: model.name };
    if (body.stream) {
      await streamed(model, body, generations, prompts, head, new EventStream(reply));
      return undefined;
    }
    const all = await Promise.all(generations.map((own) => Promise.all(own.map(({ result }) => result))));
    const results = writesNothing ? all.map((own) => own.map(withoutTokens)) : all;
    const choices = results.flatMap((own, i) =>
      likeliest(own, n).map((result, at) => ({
        index: i * n + at,
        ...choiceOf(model, body, result, prompts[i] as Prompt),
      })),
    );
    return { ...head, choices, usage: usageOf(results) };
  });
}

const withoutTokens = (result: GenerationResult): GenerationResult => ({
  ...result,
  ...{ text: '', tokens: [], logprobs: [], finishReason: 'length' },
});

function choiceOf(
  { tokenizer }: ServedModel,
  { echo, logprobs, prompt_logprobs: ofPrompt }: CompletionBody,
  result: GenerationResult,
  prompt: Prompt,
): object {
  const { promptLogprobs: scores = [] } = result;
  const own = { tokens: result.tokens, scores: result.logprobs };
  const all = echo ? { tokens: [...prompt.tokens, ...own.tokens], scores: [...scores, ...own.scores] } : own;
  return {
    text: `${echo ? prompt.text : ''}${result.text}`,
    finish_reason: finishReasonOf(result),
    logprobs: logprobs == null ? null : new CompletionLogprobs(tokenizer, 0).of(all.tokens, all.scores),
    ...(ofPrompt != null && { prompt_logprobs: promptLogprobs(tokenizer, prompt.tokens, scores) }),
  };
}

async function streamed(
  { tokenizer }: ServedModel,
  body: CompletionBody,
  generations: readonly (readonly Generation[])[],
  prompts: readonly Prompt[],
  head: object,
  events: EventStream,
): Promise<void> {
  const usage = new StreamUsage(
    body,
    prompts.reduce((sum, { tokens }) => sum + tokens.length, 0),
  );
  const answers = generations.flat();
  const scorers = answers.map(() => new CompletionLogprobs(tokenizer, 0));
  const choice = (index: number, text: string, more: object = {}): object => ({
    ...head,
    choices: [{ index, text, logprobs: null, finish_reason: null, ...more }],
    ...usage.fields,
  });
  try {
    if (body.echo) {
      const echoes = generations.flatMap((own, i) => own.map(() => prompts[i]?.text ?? ''));
      for (const [index, echo] of echoes.entries()) await events.send(choice(index, echo));
    }
    for await (const [index, { text, tokens, logprobs }] of mergeStreams(answers)) {
      usage.take(tokens);
      const more = body.logprobs == null ? {} : { logprobs: scorers[index]?.of(tokens, logprobs) };
      if (text !== '' || body.logprobs != null) await events.send(choice(index, text, more));
    }
    const results = await Promise.all(generations.map((own) => Promise.all(own.map(({ result }) => result))));
    for (const [index, result] of results.flat().entries())
      await events.send(choice(index, '', { finish_reason: finishReasonOf(result) }));
    for (const last of usage.last(head, results)) await events.send(last);
  } catch (error) {
    await events.send(openAiError(events.errorOf(error))).catch(() => {});
  } finally {
    await events.send('[DONE]').catch(() => {});
    events.end();
  }
}

interface Prompt {
  readonly text: string;
  readonly tokens: readonly number[];
}

/** One prompt or several, as texts or as token ids. */
function promptsOf({ tokenizer }: ServedModel, body: CompletionBody): Promise<Prompt[]> {
  const { prompt, add_special_tokens: special } = body;
  const options = { addSpecialTokens: special ?? true };
  return Promise.all(
    textsOf(prompt).map(async (given) => {
      const tokens = typeof given === 'string' ? await tokenizer.encodeAsync(given, options) : given;
      if (tokens.length === 0) throw invalidRequest('prompt must not be empty', 'prompt');
      return { tokens, text: typeof given === 'string' ? given : tokenizer.decode(given) };
    }),
  );
}
