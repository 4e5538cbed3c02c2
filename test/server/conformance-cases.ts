/**
 * A request of another server's own tests, with what that server must answer. Places of an answer are paths with dots;
 * of a stream the answer is the list of its events. Requests, statuses and shapes are facts of
 * `tests/entrypoints` of vLLM and `tools/server/tests/unit` of llama.cpp, as they were in November 2026.
 */
export interface ConformanceCase {
  /** The file of the test, and what it shows. */
  readonly of: string;
  readonly path: string;
  readonly body: unknown;
  /** 200 when absent. */
  readonly status?: number;
  /** By place: the value, an expression that its text matches, or what must hold for it. */
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly key?: string | undefined;
}

type Body = Readonly<Record<string, unknown>>;
const CHAT = '/v1/chat/completions';
const COMPLETIONS = '/v1/completions';
const MESSAGES = '/v1/messages';
const RESPONSES = '/v1/responses';
const EMBEDDINGS = '/v1/embeddings';
const RERANK = '/v1/rerank';

const book = [
  { role: 'system', content: 'Book' },
  { role: 'user', content: 'What is the best book' },
];
const chat = (more: Body = {}): Body => ({ messages: book, max_tokens: 8, ...more });
const completion = (more: Body = {}): Body => ({
  prompt: 'Once upon a time',
  max_tokens: 5,
  temperature: 0,
  ...more,
});
const anthropic = (more: Body = {}): Body => ({
  max_tokens: 20,
  messages: [{ role: 'user', content: 'Say hello' }],
  ...more,
});

const isText = (value: unknown): boolean => typeof value === 'string' && value.length > 0;
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isNegative = (value: unknown): boolean => typeof value === 'number' && value <= 0;
const isList = (value: unknown): boolean => Array.isArray(value) && value.length > 0;
const has = (length: number) => (value: unknown) => (value as ArrayLike<unknown>).length === length;
const refused = (of: string, path: string, body: unknown, shape: Body = {}): ConformanceCase => ({
  ...{ of, path, body, status: 400 },
  shape: { 'error.message': isText, ...shape },
});

interface Chunk {
  readonly id: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta?: { readonly content?: string | null; readonly role?: string };
    readonly text?: string;
    readonly finish_reason: string | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly total_tokens: number;
  };
}
const chunks = (holds: (all: readonly Chunk[]) => boolean) => (all: unknown) =>
  holds(all as readonly Chunk[]);
const endsOnce = chunks((all) => {
  const reasons = all.flatMap(({ choices }) => choices.map(({ finish_reason: reason }) => reason));
  return reasons.at(-1) === 'length' && reasons.filter((reason) => reason !== null).length === 1;
});
const hasNoUsage = chunks((all) => all.every(({ usage }) => usage === undefined));
const hasUsageLast = chunks(
  (all) =>
    all.slice(0, -1).every(({ usage }) => usage === null) &&
    all.at(-1)?.choices.length === 0 &&
    sumsUp(all.at(-1)?.usage),
);
const hasUsageEverywhere = chunks(
  (all) =>
    all.every(({ usage }) => sumsUp(usage)) &&
    all.every(
      ({ usage }, i) =>
        i === 0 || (usage?.completion_tokens ?? 0) >= (all[i - 1]?.usage?.completion_tokens ?? 0),
    ),
);
const sumsUp = (usage: Chunk['usage']): boolean =>
  usage !== undefined &&
  usage.prompt_tokens > 0 &&
  usage.total_tokens === usage.prompt_tokens + usage.completion_tokens;

const INVALID_GRAMMAR = 'root ::= select_statementinvalidsyntax\nselect ::= "SELECT "';
const tool = (name: string): Body => ({
  type: 'function',
  function: {
    name,
    parameters: {
      type: 'object',
      properties: { success: { type: 'boolean', const: true } },
      required: ['success'],
    },
  },
});

export const VLLM: readonly ConformanceCase[] = [
  // chat_completion/test_chat.py
  {
    of: 'test_chat: logprobs false',
    path: CHAT,
    body: chat({ logprobs: false }),
    shape: { 'choices.0.logprobs': null },
  },
  {
    of: 'test_chat: no top log-probs',
    path: CHAT,
    body: chat({ logprobs: true, top_logprobs: 0 }),
    shape: { 'choices.0.logprobs.content.0.top_logprobs': [] },
  },
  {
    of: 'test_chat: five top log-probs',
    path: CHAT,
    body: chat({ logprobs: true, top_logprobs: 5 }),
    shape: { 'choices.0.logprobs.content.0.top_logprobs': has(5) },
  },
  refused('test_chat: too many log-probs', CHAT, chat({ logprobs: true, top_logprobs: 21 })),
  refused(
    'test_chat: too many log-probs, streamed',
    CHAT,
    chat({ logprobs: true, top_logprobs: 30, stream: true }),
  ),
  ...[0, 1].map((count) => ({
    of: `test_chat: ${count} log-probs of the prompt`,
    path: CHAT,
    body: chat({ prompt_logprobs: count }),
    shape: { prompt_logprobs: isList, 'prompt_logprobs.0': null },
  })),
  {
    of: 'test_chat: two log-probs of a prompt',
    path: CHAT,
    body: chat({ prompt_logprobs: 2 }),
    shape: { 'prompt_logprobs.3': (at: unknown) => Object.keys(at as object).length >= 2 },
  },
  {
    of: 'test_chat: no log-probs of the prompt',
    path: CHAT,
    body: chat(),
    shape: { prompt_logprobs: undefined },
  },
  refused('test_chat: log-probs of the prompt below 0', CHAT, chat({ prompt_logprobs: -1 })),
  ...(
    [
      [{ max_tokens: '10' }, 'max_tokens must be a number, found "10"'],
      [{ stream: 'yes' }, 'stream must be true or false, found "yes"'],
      [{ n: 65 }, 'n must be at most 64, found 65'],
      [{ messages: [] }, 'messages must have at least 1 entry, found []'],
      [{ messages: undefined }, 'messages must be a list, found nothing'],
      [{ stop: [null] }, 'stop must be a text or a list of texts, found [null]'],
      [
        { response_format: { type: 'regex' } },
        /must be "text" or "json_object" or "json_schema", found "regex"/,
      ],
      [{ min_tokens: 30 }, /min_tokens must be at most max_tokens \(8\), found 30/],
    ] as const
  ).map(([more, message]) =>
    refused(`what was expected and found: ${JSON.stringify(more)}`, CHAT, chat(more), {
      'error.message': message,
    }),
  ),
  {
    of: 'test_chat: a single turn',
    path: CHAT,
    body: chat({ max_completion_tokens: 5, max_tokens: undefined, logprobs: true, top_logprobs: 5 }),
    shape: {
      id: /^chatcmpl-/,
      choices: has(1),
      'choices.0.finish_reason': 'length',
      'choices.0.message.role': 'assistant',
      'choices.0.message.content': isText,
      'usage.completion_tokens': 5,
    },
  },
  { of: 'test_chat: streaming', path: CHAT, body: chat({ stream: true }), shape: { '': endsOnce } },
  {
    of: 'test_chat: no usage in streams',
    path: CHAT,
    body: chat({ stream: true, stream_options: { include_usage: false } }),
    shape: { '': hasNoUsage },
  },
  {
    of: 'test_chat: usage behind a stream',
    path: CHAT,
    body: chat({ stream: true, stream_options: { include_usage: true, continuous_usage_stats: false } }),
    shape: { '': hasUsageLast },
  },
  {
    of: 'test_chat: usage in each chunk',
    path: CHAT,
    body: chat({ stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } }),
    shape: { '': hasUsageEverywhere, '-1.usage.completion_tokens': 8 },
  },
  ...[null, true].map((include_usage) =>
    refused(
      `test_chat: stream_options ${include_usage} without a stream`,
      CHAT,
      chat({ stream_options: { include_usage } }),
      {
        'error.param': 'stream_options',
      },
    ),
  ),
  {
    of: 'test_chat: structured_outputs of choices',
    path: CHAT,
    body: chat({ structured_outputs: { choice: ['Rust', 'Ada'] } }),
    shape: { 'choices.0.message.content': /^(Rust|Ada)$/ },
  },
  {
    of: 'test_chat: structured_outputs of a schema',
    path: CHAT,
    body: chat({ max_tokens: 40, structured_outputs: { json: { type: 'integer', minimum: 1, maximum: 9 } } }),
    shape: { 'choices.0.message.content': /^[1-9]$/ },
  },
  {
    of: 'test_chat: structured_outputs of an expression',
    path: CHAT,
    body: chat({ max_tokens: 40, structured_outputs: { regex: '[a-c]{3}' } }),
    shape: { 'choices.0.message.content': /^[a-c]{3}$/ },
  },
  {
    of: 'test_chat: response_format json_object',
    path: CHAT,
    body: chat({ max_tokens: 30, response_format: { type: 'json_object' } }),
    shape: { 'choices.0.message.content': /^\{[\s\S]*\}$/ },
  },
  // chat_completion/test_chat_error.py
  refused(
    'test_chat_error: json_schema without a schema',
    CHAT,
    chat({ response_format: { type: 'json_schema' } }),
  ),
  {
    of: 'test_chat_error: a system message',
    path: CHAT,
    body: chat({ messages: [{ role: 'system', content: 'You are kind.' }] }),
  },
  {
    of: 'test_chat_error: a system message of parts',
    path: CHAT,
    body: chat({ messages: [{ role: 'system', content: [{ type: 'text', text: 'You are kind.' }] }] }),
  },
  // chat_completion/test_chat_logit_bias_validation.py and test_chat_stop_token_ids_validation.py; the bundled model has 1536 tokens
  {
    of: 'test_chat_logit_bias: of the last token',
    path: CHAT,
    body: chat({ logit_bias: { 1535: 1 } }),
    shape: { 'choices.0.message.content': isText },
  },
  refused('test_chat_logit_bias: out of the vocabulary', CHAT, chat({ logit_bias: { 1537: 1 } }), {
    'error.message': /1537/,
  }),
  refused('test_chat_logit_bias: no token id', CHAT, chat({ logit_bias: { not_a_token_id: 50 } }), {
    'error.message': /logit_bias[\s\S]*not_a_token_id/,
  }),
  refused('test_chat_logit_bias: no number', CHAT, chat({ logit_bias: { 1: 'not_a_number' } }), {
    'error.message': /logit_bias/,
  }),
  {
    of: 'test_chat_stop_token_ids: the last token',
    path: CHAT,
    body: chat({ stop_token_ids: [1535] }),
    shape: { 'choices.0.message.content': isText },
  },
  refused('test_chat_stop_token_ids: out of the vocabulary', CHAT, chat({ stop_token_ids: [1537] }), {
    'error.message': /1537/,
  }),
  refused('test_chat_stop_token_ids: negative', CHAT, chat({ stop_token_ids: [-1] })),
  // chat_completion/test_non_object_body_validation.py
  ...['this is not valid json{{{', ['not', 'an', 'object'], 42, null].map((body) =>
    refused(`test_non_object_body: ${JSON.stringify(body)}`, CHAT, body),
  ),
  refused('test_non_object_body: an empty cache_salt', CHAT, chat({ cache_salt: '' }), {
    'error.param': 'cache_salt',
  }),
  // chat_completion/test_chat_echo.py
  ...[true, false].map((echo) => ({
    of: `test_chat_echo: continue_final_message, echo ${echo}`,
    path: CHAT,
    body: chat({
      messages: [
        { role: 'user', content: 'tell me a common saying' },
        { role: 'assistant', content: 'Here is a common saying. An apple a day, keeps' },
      ],
      ...{ echo, continue_final_message: true, add_generation_prompt: false },
    }),
    shape: {
      'choices.0.message.role': 'assistant',
      'choices.0.message.content': (text: unknown) =>
        String(text).startsWith('Here is a common saying.') === echo,
    },
  })),
  refused(
    'test_chat_echo: continue_final_message with a new turn',
    CHAT,
    chat({ continue_final_message: true, add_generation_prompt: true }),
  ),
  // completion/test_completion.py
  {
    of: 'test_completion: a single one',
    path: COMPLETIONS,
    body: completion(),
    shape: {
      id: /^cmpl-/,
      choices: has(1),
      'choices.0.text': isText,
      'choices.0.finish_reason': 'length',
      'usage.completion_tokens': 5,
      'usage.prompt_tokens_details.cached_tokens': isCount,
      'choices.0.prompt_logprobs': undefined,
    },
  },
  {
    of: 'test_completion: token ids',
    path: COMPLETIONS,
    body: completion({ prompt: [1, 1, 1, 1, 1] }),
    shape: { 'usage.prompt_tokens': 5 },
  },
  {
    of: 'test_completion: no log-probs',
    path: COMPLETIONS,
    body: completion({ logprobs: null }),
    shape: { 'choices.0.logprobs': null },
  },
  {
    of: 'test_completion: log-probs of chosen tokens only',
    path: COMPLETIONS,
    body: completion({ logprobs: 0 }),
    shape: {
      'choices.0.logprobs.token_logprobs': has(5),
      'choices.0.logprobs.top_logprobs.0': (top: unknown) => Object.keys(top as object).length === 1,
    },
  },
  {
    of: 'test_completion: five log-probs, and the chosen one',
    path: COMPLETIONS,
    body: completion({ logprobs: 5, temperature: 1, seed: 5 }),
    shape: {
      'choices.0.logprobs.top_logprobs.0': (top: unknown) =>
        [5, 6].includes(Object.keys(top as object).length),
    },
  },
  refused('test_completion: too many log-probs', COMPLETIONS, completion({ logprobs: 21 })),
  refused(
    'test_completion: too many log-probs, streamed',
    COMPLETIONS,
    completion({ logprobs: 30, stream: true }),
  ),
  ...[0, 1].map((count) => ({
    of: `test_completion: ${count} log-probs of prompts`,
    path: COMPLETIONS,
    body: completion({ prompt: ['A robot may', 'My name is'], prompt_logprobs: count }),
    shape: { 'choices.0.prompt_logprobs': isList, 'choices.1.prompt_logprobs': isList },
  })),
  refused(
    'test_completion: log-probs of the prompt below 0',
    COMPLETIONS,
    completion({ prompt_logprobs: -1 }),
  ),
  {
    of: 'test_completion: streaming',
    path: COMPLETIONS,
    body: completion({ stream: true }),
    shape: { '': endsOnce },
  },
  {
    of: 'test_completion: several answers',
    path: COMPLETIONS,
    body: completion({ n: 3, temperature: 1, seed: 42, logprobs: 0, max_tokens: 20 }),
    shape: {
      choices: (all: unknown) => {
        const found = all as readonly { index: number; text: string }[];
        return (
          found.every(({ index }, i) => index === i) && new Set(found.map(({ text }) => text)).size === 3
        );
      },
    },
  },
  {
    of: 'test_completion: several answers, streamed',
    path: COMPLETIONS,
    body: completion({ n: 3, temperature: 1, seed: 42, stream: true }),
    shape: {
      '': chunks(
        (all) =>
          all.flatMap(({ choices }) => choices).filter((choice) => choice.finish_reason !== null).length ===
          3,
      ),
    },
  },
  ...[{}, { include_usage: false }, { include_usage: false, continuous_usage_stats: true }].map(
    (stream_options) => ({
      of: `test_completion: stream_options ${JSON.stringify(stream_options)}`,
      path: COMPLETIONS,
      body: completion({ stream: true, stream_options }),
      shape: { '': hasNoUsage },
    }),
  ),
  {
    of: 'test_completion: usage behind a stream',
    path: COMPLETIONS,
    body: completion({ stream: true, stream_options: { include_usage: true } }),
    shape: { '': hasUsageLast },
  },
  {
    of: 'test_completion: usage in each chunk',
    path: COMPLETIONS,
    body: completion({ stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } }),
    shape: { '': hasUsageEverywhere },
  },
  ...[{ include_usage: true }, { continuous_usage_stats: null }].map((stream_options) =>
    refused(
      `test_completion: ${JSON.stringify(stream_options)} without a stream`,
      COMPLETIONS,
      completion({ stream_options }),
    ),
  ),
  ...[
    ['Hello, my name is', 'Hello, my name is'],
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
  ].map((prompt) => ({
    of: `test_completion: a batch of ${JSON.stringify(prompt[0])}`,
    path: COMPLETIONS,
    body: completion({ prompt }),
    shape: {
      choices: (all: unknown) =>
        new Set((all as { text: string }[]).map(({ text }) => text)).size === 1 && has(2)(all),
    },
  })),
  ...['Hello, my name is', [1, 2, 3, 4, 5]].flatMap((prompt) =>
    [0, 1].map((logprobs) => ({
      of: `test_completion: echo of ${JSON.stringify(prompt)} with ${logprobs} log-probs`,
      path: COMPLETIONS,
      body: completion({ prompt, echo: true, logprobs }),
      shape: {
        'choices.0.logprobs.token_logprobs.0': null,
        'choices.0.logprobs.top_logprobs.0': null,
        'choices.0.logprobs.token_logprobs': (all: unknown) =>
          (all as unknown[]).length > 5 && (all as unknown[]).slice(1).every(isNegative),
        'choices.0.logprobs.tokens': (all: unknown) => (all as unknown[]).length > 5,
        'choices.0.logprobs.text_offset': (all: unknown) => (all as unknown[]).length > 5,
        'choices.0.logprobs.top_logprobs.1': (top: unknown) =>
          [Math.max(logprobs, 1), logprobs + 1].includes(Object.keys(top as object).length),
      },
    })),
  ),
  refused(
    'test_completion: an invalid schema',
    COMPLETIONS,
    completion({ structured_outputs: { json: { properties: { foo: 'bar' } } } }),
  ),
  refused(
    'test_completion: an invalid expression',
    COMPLETIONS,
    completion({ structured_outputs: { regex: '[.*' } }),
  ),
  refused(
    'test_completion: an invalid grammar',
    COMPLETIONS,
    completion({ structured_outputs: { grammar: INVALID_GRAMMAR } }),
  ),
  // completion/test_completion_error.py, test_empty_prompt_list.py, test_prompt_validation.py
  refused(
    'test_completion_error: json_schema without a schema',
    COMPLETIONS,
    completion({ response_format: { type: 'json_schema' } }),
  ),
  ...[[[-1]], [-1], [], null, [999_999]].map((prompt) =>
    refused(
      `test_completion_error: the prompt ${JSON.stringify(prompt)}`,
      COMPLETIONS,
      completion({ prompt }),
    ),
  ),
  { of: 'test_empty_prompt_list: a list of one', path: COMPLETIONS, body: completion({ prompt: ['hello'] }) },
  // pooling/embed/test_online.py, test_online_dimensions.py
  {
    of: 'test_online: one text',
    path: EMBEDDINGS,
    body: { input: ['The dog sleeps.'], encoding_format: 'float' },
    shape: {
      data: has(1),
      'data.0.embedding': has(64),
      'usage.prompt_tokens': isCount,
      'usage.total_tokens': isCount,
    },
  },
  {
    of: 'test_online: lists of token ids',
    path: EMBEDDINGS,
    body: {
      input: [
        [4, 5, 7, 9, 20],
        [15, 29, 9],
        [24, 24, 24],
        [25, 32],
      ],
    },
    shape: { data: has(4), 'usage.prompt_tokens': 13, 'usage.total_tokens': 13 },
  },
  {
    of: 'test_online: base64',
    path: EMBEDDINGS,
    body: { input: 'The dog', encoding_format: 'base64' },
    shape: { 'data.0.embedding': (text: unknown) => Buffer.from(String(text), 'base64').length === 4 * 64 },
  },
  ...[-1, 65].map((dimensions) =>
    refused(`test_online_dimensions: ${dimensions}`, EMBEDDINGS, { input: 'a', dimensions }),
  ),
  // There only a model whose config.json says so is cut; most that are trained for it do not say so.
  {
    of: 'test_online_dimensions: fewer than the model has',
    path: EMBEDDINGS,
    body: { input: 'a', dimensions: 16 },
    shape: { 'data.0.embedding': has(16) },
  },
  // pooling/scoring/test_cross_encoder_online.py
  {
    of: 'test_online_rerank: texts',
    path: '/rerank',
    body: { query: 'Where is the dog?', documents: ['The dog is here.', 'The cat.'] },
    shape: { id: isText, results: has(2) },
  },
  {
    of: 'test_online_rerank: top_n',
    path: '/rerank',
    body: { query: 'q', documents: ['a', 'b', 'c'], top_n: 2 },
    shape: { results: has(2) },
  },
];

export const LLAMA_CPP: readonly ConformanceCase[] = [
  // test_chat_completion.py
  {
    of: 'test_chat_completion: an answer',
    path: CHAT,
    body: chat({ model: null }),
    shape: {
      id: /cmpl/,
      'usage.completion_tokens': 8,
      'choices.0.message.role': 'assistant',
      'choices.0.finish_reason': 'length',
    },
  },
  {
    of: 'test_chat_completion: parts of text',
    path: CHAT,
    body: chat({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is' },
            { type: 'text', text: 'the best book' },
          ],
        },
      ],
    }),
  },
  {
    of: 'test_chat_completion: a stream',
    path: CHAT,
    body: chat({ stream: true }),
    shape: {
      '0.choices.0.delta.role': 'assistant',
      '': chunks(
        (all) =>
          new Set(all.map(({ id }) => id)).size === 1 &&
          all.slice(1).every(({ choices }) => choices.every(({ delta }) => delta?.role === undefined)) &&
          all.every(({ choices }) =>
            choices.every((choice) => choice.finish_reason === null || choice.delta?.content === undefined),
          ),
      ),
    },
  },
  {
    of: 'test_chat_completion: json_object with a schema',
    path: CHAT,
    body: chat({ response_format: { type: 'json_object', schema: { const: '42' } } }),
    shape: { 'choices.0.message.content': '"42"' },
  },
  {
    of: 'test_chat_completion: json_schema',
    path: CHAT,
    body: chat({
      max_tokens: 10,
      response_format: { type: 'json_schema', json_schema: { schema: { const: 'foooooo' } } },
    }),
    shape: { 'choices.0.message.content': '"foooooo"' },
  },
  ...[
    { type: 'sound' },
    ...[123, { type: 123 }, { type: 'hiccup' }].map((schema) => ({ type: 'json_object', schema })),
  ].map((response_format) =>
    refused(
      `test_chat_completion: response_format ${JSON.stringify(response_format)}`,
      CHAT,
      chat({ response_format }),
    ),
  ),
  ...[
    null,
    'string',
    [123],
    [{}],
    [{ role: 123 }],
    [{ role: 'system', content: 123 }],
    [{ role: 'system', content: 'test' }, {}],
  ].map((messages) =>
    refused(`test_chat_completion: messages ${JSON.stringify(messages)}`, CHAT, chat({ messages })),
  ),
  {
    of: 'test_chat_completion: log-probs',
    path: CHAT,
    body: chat({ max_tokens: 5, temperature: 0, logprobs: true, top_logprobs: 10 }),
    shape: {
      '': (answer: unknown) => {
        const { message, logprobs } =
          (
            answer as {
              choices: { message: { content: string }; logprobs: { content: { token: string }[] } }[];
            }
          ).choices[0] ?? {};
        return logprobs?.content.map(({ token }) => token).join('') === message?.content;
      },
      'choices.0.logprobs.content.0.logprob': isNegative,
      'choices.0.logprobs.content.0.bytes': isList,
    },
  },
  {
    of: 'test_chat_completion: logit_bias',
    path: CHAT,
    body: chat({ temperature: 0, logit_bias: { 5: -100, 6: -100 } }),
    shape: { 'choices.0.message.content': isText },
  },
  ...[false, true].map((stream) =>
    refused(
      `test_chat_completion: a prompt that is too long, stream ${stream}`,
      CHAT,
      chat({ stream, messages: new Array(100).fill(book).flat() }),
      {
        'error.code': 'context_length_exceeded',
      },
    ),
  ),
  {
    of: 'test_chat_completion: two answers',
    path: CHAT,
    body: chat({ n: 2 }),
    shape: { choices: has(2), 'choices.1.finish_reason': 'length', 'choices.1.message.role': 'assistant' },
  },
  // test_completion.py
  {
    of: 'test_completion: an answer',
    path: COMPLETIONS,
    body: completion(),
    shape: { 'choices.0.text': isText, 'choices.0.finish_reason': 'length' },
  },
  refused(
    'test_completion: a prompt that is too long',
    COMPLETIONS,
    completion({ prompt: 'I believe the meaning of life is'.repeat(64) }),
    { 'error.code': 'context_length_exceeded' },
  ),
  {
    of: 'test_completion: texts and token ids',
    path: COMPLETIONS,
    body: completion({ prompt: [[1, 2, 3], 'Once upon a time'] }),
    shape: { choices: has(2) },
  },
  // test_ignore_eos.py
  {
    of: 'test_ignore_eos: to the last token',
    path: COMPLETIONS,
    body: completion({ ignore_eos: true, max_tokens: 100 }),
    shape: { 'usage.completion_tokens': 100 },
  },
  // test_tokenize.py
  {
    of: 'test_tokenize: there',
    path: '/tokenize',
    body: { prompt: 'What is the capital of France ?' },
    shape: { tokens: (all: unknown) => (all as unknown[]).length > 5 },
  },
  {
    of: 'test_tokenize: and back',
    path: '/detokenize',
    body: { tokens: [50, 60] },
    shape: { prompt: isText },
  },
  // test_security.py
  ...[undefined, 'invalid-key'].map((key) => ({
    ...{
      of: `test_security: the key ${key}`,
      path: COMPLETIONS,
      body: completion(),
      status: 401,
      key: key ?? '',
    },
    shape: { 'error.type': 'authentication_error' },
  })),
  // test_compat_anthropic.py
  {
    of: 'test_compat_anthropic: a message',
    path: MESSAGES,
    body: anthropic(),
    shape: {
      type: 'message',
      role: 'assistant',
      'content.0.type': 'text',
      'content.0.text': isText,
      stop_reason: /^(end_turn|max_tokens)$/,
      'usage.input_tokens': isCount,
      'usage.output_tokens': 20,
      'usage.cache_read_input_tokens': isCount,
    },
  },
  ...[
    { system: 'You are a helpful assistant.' },
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is' },
            { type: 'text', text: ' the answer?' },
          ],
        },
      ],
    },
    { messages: ['user', 'assistant', 'user'].map((role) => ({ role, content: 'Hello' })) },
    { stop_sequences: ['\n', 'END'] },
    { temperature: 0.5 },
    { top_p: 0.9 },
    { top_k: 40 },
    { thinking: { type: 'enabled', budget_tokens: 50 } },
    { metadata: { user_id: 'test_user_123' } },
  ].map((more) => ({
    of: `test_compat_anthropic: ${JSON.stringify(more).slice(0, 60)}`,
    path: MESSAGES,
    body: anthropic(more),
    shape: { type: 'message' },
  })),
  {
    of: 'test_compat_anthropic: a stream',
    path: MESSAGES,
    body: anthropic({ stream: true }),
    shape: {
      '0.type': 'message_start',
      '0.message.content': [],
      '0.message.usage.input_tokens': isCount,
      '1.type': 'content_block_start',
      '1.index': 0,
      '1.content_block.type': 'text',
      '2.delta.type': 'text_delta',
      '-3.type': 'content_block_stop',
      '-2.type': 'message_delta',
      '-2.delta.stop_reason': /^(end_turn|max_tokens)$/,
      '-2.usage.output_tokens': isCount,
      '-1.type': 'message_stop',
    },
  },
  ...[{}, { system: 'You are a helpful assistant.' }].map((more) => ({
    of: `test_compat_anthropic: count_tokens ${JSON.stringify(more)}`,
    path: `${MESSAGES}/count_tokens`,
    body: { messages: [{ role: 'user', content: 'Hello' }], ...more },
    shape: {
      '': (answer: unknown) => Object.keys(answer as object).join() === 'input_tokens',
      input_tokens: isCount,
    },
  })),
  ...[undefined, true].map((is_error) => ({
    of: `test_compat_anthropic: a result of a tool beside a text, is_error ${is_error}`,
    path: MESSAGES,
    body: anthropic({
      messages: [
        { role: 'user', content: "What's the weather?" },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id: 'tool_1', name: 'get_weather', input: { location: 'Paris' } }],
        },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Here:' },
            { type: 'tool_result', tool_use_id: 'tool_1', content: 'Sunny, 25°C', is_error },
          ],
        },
      ],
    }),
    shape: { type: 'message', 'content.0.type': 'text' },
  })),
  refused('test_compat_anthropic: no messages', MESSAGES, { max_tokens: 50 }, { type: 'error' }),
  // test_compat_oai_responses.py
  {
    of: 'test_compat_oai_responses: a schema',
    path: RESPONSES,
    body: {
      input: 'Write an example',
      max_output_tokens: 10,
      text: { format: { type: 'json_schema', name: 'test', schema: { const: 'foooooo' } } },
    },
    shape: { id: /^resp_/, 'output.0.id': /^msg_/, 'output.0.content.0.text': '"foooooo"' },
  },
  {
    of: 'test_compat_oai_responses: text',
    path: RESPONSES,
    body: { input: 'Write an example', max_output_tokens: 10, text: { format: { type: 'text' } } },
  },
  refused('test_compat_oai_responses: json_schema without a schema', RESPONSES, {
    input: 'Write',
    text: { format: { type: 'json_schema', name: 'test' } },
  }),
  {
    of: 'test_compat_oai_responses: a stream',
    path: RESPONSES,
    body: { input: book, max_output_tokens: 8, stream: true },
    shape: {
      '0.type': 'response.created',
      '0.response.id': /^resp_/,
      '2.type': 'response.output_item.added',
      '2.item.id': /^msg_/,
      '-1.response.output.0.id': /^msg_/,
      '': (all: unknown) => {
        const ids = (all as readonly { item_id?: string; item?: { id: string } }[]).flatMap(
          ({ item_id: id, item }) => [id ?? item?.id ?? []].flat(),
        );
        return ids.length > 3 && new Set(ids).size === 1;
      },
    },
  },
  // test_tool_call.py
  ...[false, true].flatMap((stream) =>
    [{ tools: [] }, { tools: [tool('test')], tool_choice: 'none' }, { tools: null, tool_choice: null }].map(
      (more) => ({
        of: `test_tool_call: none with ${JSON.stringify(more).slice(0, 40)}, stream ${stream}`,
        path: CHAT,
        body: chat({ ...more, stream }),
        shape: stream ? { '': endsOnce } : { 'choices.0.message.tool_calls': undefined },
      }),
    ),
  ),
  {
    of: 'test_tool_call: one that is required',
    path: CHAT,
    body: chat({
      max_tokens: 100,
      tools: [tool('test')],
      tool_choice: 'required',
      parallel_tool_calls: false,
    }),
    shape: {
      'choices.0.message.content': null,
      'choices.0.message.tool_calls.0.function.name': 'test',
      'choices.0.message.tool_calls.0.function.arguments': /"success": ?true/,
    },
  },
  {
    of: 'test_tool_call: the result of one',
    path: CHAT,
    body: chat({
      messages: [
        { role: 'user', content: 'How much?' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              id: 'call_6789',
              type: 'function',
              function: { name: 'calculate', arguments: '{"expression":"1"}' },
            },
          ],
        },
        { role: 'tool', name: 'calculate', content: '0.55', tool_call_id: 'call_6789' },
      ],
    }),
    shape: { 'choices.0.message.content': isText },
  },
  // test_embedding.py
  ...[
    '',
    'string',
    [12, 34, 56],
    ['string1', 'string2'],
    ['string1', [12, 34, 56]],
    [
      [12, 34, 56],
      [12, 34, 56],
    ],
  ].map((input) => ({
    of: `test_embedding: ${JSON.stringify(input)}`,
    path: EMBEDDINGS,
    body: { input },
    shape: { 'data.0.embedding': has(64) },
  })),
  {
    of: 'test_embedding: the same text, the same vector',
    path: EMBEDDINGS,
    body: { input: new Array(5).fill('The dog and the house') },
    shape: {
      data: (all: unknown) =>
        new Set((all as { embedding: number[] }[]).map(({ embedding }) => embedding.join())).size === 1,
    },
  },
  ...[[], { content: 'string' }, [{ content: [{ type: 'input_audio', input_audio: {} }] }]].map((input) =>
    refused(`test_embedding: ${JSON.stringify(input)}`, EMBEDDINGS, { input }),
  ),
  // test_rerank.py
  {
    of: 'test_rerank: documents',
    path: '/rerank',
    body: { query: 'The dog', documents: ['a', 'b', 'c', 'd'] },
    shape: { results: has(4), 'results.0.relevance_score': (score: unknown) => typeof score === 'number' },
  },
  ...[[], null, 123, [1, 2, 3]].map((documents) =>
    refused(`test_rerank: documents ${JSON.stringify(documents)}`, '/rerank', {
      query: 'The dog',
      documents,
    }),
  ),
  ...(
    [
      [undefined, 4],
      [2, 2],
      [4, 4],
      [99, 4],
    ] as const
  ).map(([top_n, count]) => ({
    of: `test_rerank: top_n ${top_n}`,
    path: RERANK,
    body: { query: 'The dog', documents: ['a', 'b', 'c', 'd'], top_n },
    shape: {
      results: has(count),
      '': (answer: unknown) => {
        const { usage } = answer as { usage: Record<string, number> };
        return usage.prompt_tokens === usage.total_tokens;
      },
    },
  })),
  refused(
    'test_rerank: vectors of a model that ranks',
    EMBEDDINGS,
    { model: 'bert-ranks', input: 'hello' },
    { 'error.message': /ranks documents/ },
  ),
];

/** Cases of the same files that are not ours, and why. */
export const NOT_OURS: Readonly<Record<string, string>> = {
  'vLLM test_chat: LoRA adapters, min_characters':
    'no adapters are loaded; min_characters is unknown to OpenAI and vLLM alike',
  'vLLM test_chat, test_completion: text in the last chunk': "OpenAI's own last chunk has the reason alone",
  'vLLM test_chat_error, test_completion_error: finish_reason error':
    'needs a mocked engine; test/engine/faults.test.ts throws at every point of a real one',
  'vLLM test_chat_error: pictures and sound in system messages':
    'logs a warning there; text models refuse such parts here',
  'vLLM test_chat_logit_bias: all wrong keys in one message': 'the first is named, as for every other field',
  'vLLM test_enable_force_include_usage': 'a flag of its server',
  'vLLM test_chat_echo: top_logprobs of -1': "at most 20, as OpenAI's; llm.runner gives logits",
  'vLLM test_completion: truncate_prompt_tokens, return_token_ids':
    'a prompt that is too long is refused; /tokenize gives ids',
  'vLLM test_completion: use_beam_search':
    'beams are not streamed or scheduled as requests are: the library has beamSearch',
  'vLLM test_prompt_validation: prompt_embeds, hidden states': 'vectors are no prompts here',
  'vLLM test_completion_text_offset':
    'needs a mocked engine; test/server/openai.test.ts compares streams with whole answers',
  'vLLM test_online: normalize, messages, truncate_prompt_tokens':
    "the checkpoint's modules decide; texts are cut as sentence-transformers cuts them",
  'vLLM test_online_rerank: a query that is too long, use_activation':
    "pairs are cut, and scored, as the checkpoint's files say",
  'llama.cpp: paths without /v1, /completion, /infill, /slots, /props, /apply-template': 'its own API',
  'llama.cpp test_chat_completion: system_fingerprint, timings, return_progress, __verbose': 'its own fields',
  'llama.cpp test_chat_completion: json_schema and grammar of a request':
    'response_format, structured_outputs and guided_* say the same',
  'llama.cpp test_chat_completion: two assistant messages in a row':
    'the template decides; one that refuses gives 400',
  'llama.cpp test_chat_completion: a first delta of null': "OpenAI's has an empty text",
  'llama.cpp test_tokenize: content, with_pieces': "vLLM's names are taken (prompt, add_special_tokens)",
  'llama.cpp test_security: open /models, CORS, files':
    'models need the key; no page of another origin may ask; no file is read for a request',
  'llama.cpp test_ignore_eos: generation_settings': 'its own field',
  'llama.cpp test_compat_anthropic: empty messages': 'refused, as Anthropic does',
  'llama.cpp test_compat_anthropic, test_vision_api: pictures': 'text models refuse them (400, not 500)',
  'llama.cpp test_compat_oai_responses: telemetry': 'its own fields',
  'llama.cpp test_tool_call: models from the hub':
    'test/answers reads the formats of calls and reasoning; no network',
  'llama.cpp test_embedding: objects, pooling none, a text that is too long':
    'its own forms; texts are cut as sentence-transformers cuts them',
  'llama.cpp test_rerank: texts instead of documents': 'the API of text-embeddings-inference',
};
