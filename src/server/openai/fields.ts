import { z } from 'zod';
import type { GenerateOptions } from '../../engine/llm-engine-options.js';
import type { Guide } from '../../guided/index.js';
import type { SamplingOptions } from '../../sampling/sampling-params.js';
import { invalidRequest } from '../http-error.js';
import { saying } from '../issue-text.js';
import { refuseUnbuilt, UNBUILT } from '../unbuilt.js';

/** Clients write null for what they leave to the server. */
const maybe = <T extends z.ZodType>(schema: T) => schema.nullish();
const number = maybe(z.number());
const integer = maybe(z.int());

/** Of one request; each is a sequence of its own. */
export const MAX_ANSWERS = 64;

/** Clients draw seeds of 64 bits; those that JSON.parse rounds are seeds, too. */
const MAX_SEED = 2 ** 64;
/** Those of several answers follow one another, and must stay integers. */
const SEEDS = 2 ** 52;

/** Fields of completions and chat completions: OpenAI's, then those that vLLM adds. Ranges are the engine's to check. */
export const SAMPLING_FIELDS = {
  model: z.string().nullish(),
  max_tokens: integer,
  temperature: number,
  top_p: number,
  n: maybe(z.int().min(1).max(MAX_ANSWERS)),
  stop: maybe(z.union([z.string(), z.array(z.string())], 'must be a text or a list of texts')),
  seed: maybe(z.number().min(-MAX_SEED).max(MAX_SEED).refine(Number.isInteger, 'must be an integer')),
  presence_penalty: number,
  frequency_penalty: number,
  logit_bias: maybe(z.record(z.string(), z.number())),
  stream: maybe(z.boolean()),
  stream_options: maybe(
    z.object({ include_usage: maybe(z.boolean()), continuous_usage_stats: maybe(z.boolean()) }),
  ),
  user: maybe(z.string()),
  top_k: integer,
  min_p: number,
  repetition_penalty: number,
  min_tokens: integer,
  stop_token_ids: maybe(z.array(z.int())),
  ignore_eos: maybe(z.boolean()),
  include_stop_str_in_output: maybe(z.boolean()),
  skip_special_tokens: maybe(z.boolean()),
  priority: integer,
  prompt_logprobs: maybe(z.int().min(0)),
  cache_salt: maybe(z.string().min(1).max(256)),
  response_format: maybe(
    z.object({
      type: z.enum(['text', 'json_object', 'json_schema']),
      schema: z.unknown().optional(),
      json_schema: maybe(
        z.object({ name: z.string().nullish(), schema: z.unknown().optional(), strict: maybe(z.boolean()) }),
      ),
    }),
  ),
  structured_outputs: maybe(
    z.object({
      json: z.unknown().optional(),
      regex: maybe(z.string()),
      choice: maybe(z.array(z.string())),
      grammar: maybe(z.string()),
      json_object: maybe(z.boolean()),
    }),
  ),
  guided_json: z.unknown().optional(),
  guided_regex: maybe(z.string()),
  guided_choice: maybe(z.array(z.string())),
  guided_grammar: maybe(z.string()),
};

const fields = z.object(SAMPLING_FIELDS);
export type SamplingFields = z.infer<typeof fields>;

const tokenIds = z.array(z.int().min(0)).min(1);

/** One text or several, each as it is or as token ids. */
export const texts = (max: number) =>
  z.union(
    [
      z.string(),
      tokenIds,
      z
        .array(z.union([z.string(), tokenIds]))
        .min(1)
        .max(max),
    ],
    `must be a text, token ids, or a list of up to ${max} of them`,
  );

export const textsOf = (given: z.infer<ReturnType<typeof texts>>): readonly (string | readonly number[])[] =>
  typeof given === 'string' || given.every((one) => typeof one === 'number')
    ? [given]
    : (given as (string | number[])[]);

/** The body of a request, or an error that names the field. Fields that nobody knows are left alone, as vLLM does. */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const { success, data, error } = schema.safeParse(body ?? {});
  if (success) return data;
  const [issue] = error.issues;
  const param = issue?.path.join('.') || null;
  throw invalidRequest(`${param ?? 'the body'}${issue ? saying(issue, body) : ' is malformed'}`, param);
}

/** The same of a request for answers. @throws HttpError 400, also for fields that contradict each other */
export function readRequest<T extends SamplingFields>(schema: z.ZodType<T>, given: unknown): T {
  const body = readBody(schema, given);
  refuseUnbuilt(given, UNBUILT.answers);
  if (body.stream_options && !body.stream)
    throw invalidRequest('stream_options is only for streams', 'stream_options');
  if (body.prompt_logprobs != null && body.stream)
    throw invalidRequest(
      'prompt_logprobs are there when an answer is complete, not streamed',
      'prompt_logprobs',
    );
  return body;
}

/** Null and undefined are absent. */
function present<T extends object>(options: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const given = Object.entries(options).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(given) as { [K in keyof T]?: NonNullable<T[K]> };
}

/** OpenAI's and vLLM's names to the engine's. Seeds may be negative there. */
export function samplingOf(body: SamplingFields): SamplingOptions {
  const { seed, logit_bias: bias } = body;
  return present({
    maxTokens: body.max_tokens,
    minTokens: body.min_tokens,
    // OpenAI samples unless it is told otherwise; what the checkpoint presets comes first.
    temperature: body.temperature,
    topP: body.top_p,
    topK: body.top_k,
    minP: body.min_p,
    repetitionPenalty: body.repetition_penalty,
    frequencyPenalty: body.frequency_penalty,
    presencePenalty: body.presence_penalty,
    logitBias: bias,
    seed: typeof seed === 'number' ? Math.abs(seed) % SEEDS : undefined,
    stop: body.stop,
    stopTokenIds: body.stop_token_ids,
    ignoreEos: body.ignore_eos,
    includeStopStrInOutput: body.include_stop_str_in_output,
    skipSpecialTokens: body.skip_special_tokens,
    promptLogprobs: body.prompt_logprobs,
  });
}

export function generateOptionsOf(
  body: SamplingFields,
  client: string | undefined,
): Partial<GenerateOptions> {
  return present({ priority: body.priority, cacheSalt: body.cache_salt, client });
}

/** What the answer must be. @throws HttpError 400 when it is said in two ways */
export function guideOf(body: SamplingFields): Guide | undefined {
  const { response_format: format, structured_outputs: outputs } = body;
  const guides: Guide[] = [];
  // With a schema of its own, as llama.cpp has it.
  if (format?.type === 'json_object') guides.push({ jsonSchema: format.schema ?? ANY_OBJECT });
  if (format?.type === 'json_schema') {
    // Beside its type, as llama.cpp has it, too.
    const schema = format.json_schema?.schema ?? format.schema;
    if (schema === undefined || schema === null)
      throw invalidRequest('response_format.json_schema.schema is missing', 'response_format');
    guides.push({ jsonSchema: schema });
  }
  guides.push(
    ...guidesIn({
      json: body.guided_json,
      regex: body.guided_regex,
      choice: body.guided_choice,
      grammar: body.guided_grammar,
    }),
    ...(outputs ? guidesIn(outputs) : []),
    ...(outputs?.json_object ? [{ jsonSchema: ANY_OBJECT }] : []),
  );
  if (guides.length > 1) throw invalidRequest('the answer is guided in more than one way', 'response_format');
  return guides[0];
}

const ANY_OBJECT = { type: 'object' };

/** vLLM's ways to guide an answer, under the names that it had for them once, and has now. */
function guidesIn({
  json,
  regex,
  choice,
  grammar,
}: Omit<NonNullable<SamplingFields['structured_outputs']>, 'json_object'>): Guide[] {
  return [
    ...(json != null ? [{ jsonSchema: typeof json === 'string' ? parseSchema(json) : json }] : []),
    ...(regex != null ? [{ regex }] : []),
    ...(choice != null ? [{ choice }] : []),
    ...(grammar != null ? [{ grammar }] : []),
  ];
}

function parseSchema(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidRequest('a schema that is a text must be JSON', 'structured_outputs.json');
  }
}
