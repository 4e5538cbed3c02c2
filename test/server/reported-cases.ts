import type { ConformanceCase } from './conformance-cases.js';

type Body = Readonly<Record<string, unknown>>;
const CHAT = '/v1/chat/completions';
const COMPLETIONS = '/v1/completions';
const MESSAGES = '/v1/messages';
const RESPONSES = '/v1/responses';

const hello = { role: 'user', content: 'Hi' };
const chat = (more: Body = {}): Body => ({ messages: [hello], max_tokens: 4, temperature: 0, ...more });
const completion = (more: Body = {}): Body => ({ prompt: 'Once', max_tokens: 2, temperature: 0, ...more });
const message = (more: Body = {}): Body => ({ messages: [hello], max_tokens: 4, ...more });
const response = (more: Body = {}): Body => ({ input: 'Hi', max_output_tokens: 4, ...more });

const parameters = {
  type: 'object',
  properties: { a: { type: 'boolean' } },
  required: ['a'],
  additionalProperties: false,
};
const functionOf = (name: string): object => ({ type: 'function', function: { name, parameters } });
const named = (name: string): object => ({ type: 'function', function: { name } });
const calls = { tools: [functionOf('f'), functionOf('g')], max_tokens: 100, temperature: 1 };
/** One that refers to its definitions, which are the name, and to a property. */
const referring = (name: string): object => ({
  type: 'function',
  function: {
    name,
    parameters: {
      ...{ type: 'object', required: ['a', 'b'], additionalProperties: false },
      $defs: { side: { const: name } },
      properties: { a: { $ref: '#/$defs/side' }, b: { $ref: '#/properties/a' } },
    },
  },
});
const toolOf = (name: string): object => ({ type: 'function', name, parameters });
const schema = { const: 'foo' };
const holds = (length: number) => (value: unknown) => (value as ArrayLike<unknown>).length === length;

/** Lists of calls that a model writes by itself, which these expressions make it write. */
const hermes = '<tool_call>{"name": "f", "arguments": {"a": true}}</tool_call>';
const exactly = (text: string): string => text.replaceAll(/[<|>{}[\]().*+?^$\\/]/g, (char) => `\\${char}`);

/**
 * Requests of public bug reports about servers of these APIs, with what the original API, or the change that closed the
 * report, says is right.
 */
export const REPORTED: readonly ConformanceCase[] = [
  ...[0, 7].map((seed) => ({
    of: `vllm-project/vllm#22218, sgl-project/sglang#9696: one call where several are not wanted, seed ${seed}`,
    path: CHAT,
    body: chat({ ...calls, seed, tool_choice: 'required', parallel_tool_calls: false }),
    shape: { 'choices.0.message.tool_calls': holds(1), 'choices.0.finish_reason': 'tool_calls' },
  })),
  {
    of: 'vllm-project/vllm#23334: allowed_tools that must be called',
    path: CHAT,
    body: chat({
      ...{ ...calls, parallel_tool_calls: false },
      tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [named('g')] } },
    }),
    shape: { 'choices.0.message.tool_calls.0.function.name': 'g' },
  },
  {
    of: 'vllm-project/vllm#23334: allowed_tools that are not there',
    path: CHAT,
    body: chat({
      ...calls,
      tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [named('h')] } },
    }),
    status: 400,
    shape: { 'error.param': 'tool_choice' },
  },
  {
    of: 'ggml-org/llama.cpp#16790: references into a tool, beside another that calls something else the same',
    path: CHAT,
    body: chat({
      ...{ max_tokens: 200, tool_choice: 'required', parallel_tool_calls: false },
      tools: [referring('left'), referring('right')],
    }),
    shape: {
      '': (answer: unknown) => {
        const { choices } = answer as {
          choices: [{ message: { tool_calls: [{ function: { name: string; arguments: string } }] } }];
        };
        const [{ function: called }] = choices[0].message.tool_calls;
        const { a, b } = JSON.parse(called.arguments) as Body;
        return a === called.name && b === called.name;
      },
    },
  },
  ...[{}, null, { properties: {} }].flatMap((none) =>
    ['required', named('f')].map((choice) => ({
      of: `a tool without parameters: ${JSON.stringify(none)}, ${JSON.stringify(choice)}`,
      path: CHAT,
      body: chat({
        ...{ max_tokens: 60, tool_choice: choice, parallel_tool_calls: false },
        tools: [{ type: 'function', function: { name: 'f', parameters: none } }],
      }),
      shape: { 'choices.0.message.tool_calls.0.function.arguments': /^\{.*\}$/s },
    })),
  ),
  {
    of: 'linagora/openrag#574: top_logprobs without logprobs',
    path: CHAT,
    body: chat({ top_logprobs: 2 }),
    status: 400,
    shape: { 'error.param': 'top_logprobs' },
  },
  {
    of: 'sgl-project/sglang#28798: more top_logprobs than there may be, by their name',
    path: CHAT,
    body: chat({ logprobs: true, top_logprobs: 21 }),
    status: 400,
    shape: { 'error.param': 'top_logprobs' },
  },
  ...[false, true].map((stream) => ({
    of: `Continuum-AI-Corp/OrcaRouter-Lite#131: functions of before there were tools, stream ${stream}`,
    path: CHAT,
    body: chat({
      ...{ stream, max_tokens: 60, functions: [{ name: 'f', parameters }], function_call: { name: 'f' } },
      messages: [
        hello,
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":true}' } },
        { role: 'function', name: 'f', content: 'ok' },
      ],
    }),
    shape: stream
      ? {
          '1.choices.0.delta.function_call.name': 'f',
          '-1.choices.0.finish_reason': 'function_call',
        }
      : {
          'choices.0.message.function_call': { name: 'f', arguments: '{"a":true}' },
          'choices.0.message.tool_calls': undefined,
          'choices.0.finish_reason': 'function_call',
        },
  })),
  {
    of: 'Azure-Samples/azure-search-openai-demo#1175: a call of a function, and none',
    path: CHAT,
    body: chat({ function_call: 'auto' }),
    status: 400,
    shape: { 'error.param': 'function_call' },
  },
  {
    of: 'vllm-project/vllm#4529: a seed of 64 bits',
    path: CHAT,
    body: '{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1,"seed":18446744073709551615}',
  },
  {
    of: 'vllm-project/vllm#4529: a larger one',
    path: CHAT,
    body: '{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1,"seed":1e30}',
    status: 400,
    shape: { 'error.param': 'seed' },
  },
  {
    of: 'ggml-org/llama.cpp#11988: a schema beside the type',
    path: CHAT,
    body: chat({ max_tokens: 20, response_format: { type: 'json_schema', schema } }),
    shape: { 'choices.0.message.content': '"foo"' },
  },
  ...['refusal', 'output_text', 'input_text'].map((type) => ({
    of: `openai/openai-node: a part of type ${type}, sent back`,
    path: CHAT,
    body: chat({
      messages: [
        hello,
        { role: 'assistant', content: [{ type, [type === 'refusal' ? type : 'text']: 'No.' }] },
        hello,
      ],
    }),
  })),
  {
    of: 'EleutherAI/lm-evaluation-harness#1411: scores of a prompt, and no token more',
    path: COMPLETIONS,
    body: completion({ max_tokens: 0, echo: true, logprobs: 1 }),
    shape: {
      'choices.0.text': 'Once',
      'choices.0.logprobs.tokens': holds(2),
      'choices.0.logprobs.token_logprobs.0': null,
      'choices.0.finish_reason': 'length',
      'usage.completion_tokens': 0,
    },
  },
  {
    of: 'LostRuins/koboldcpp#643: stop of null, and what else ChatDev sends',
    path: CHAT,
    body: chat({ logit_bias: {}, stop: null, user: '', n: 1, frequency_penalty: 0 }),
  },
  {
    of: 'Chainlit/chainlit#26: an empty list of stop strings',
    path: COMPLETIONS,
    body: completion({ stop: [] }),
  },
  {
    of: 'openai.com: the best of several answers',
    path: COMPLETIONS,
    body: completion({ n: 1, best_of: 3, temperature: 1, seed: 1 }),
    shape: { choices: holds(1), 'usage.completion_tokens': 6 },
  },
  {
    of: 'openai.com: the best of several answers is not streamed',
    path: COMPLETIONS,
    body: completion({ best_of: 2, stream: true }),
    status: 400,
    shape: { 'error.param': 'best_of' },
  },
  {
    of: 'ollama/ollama#13497: bytes of a token that is half a character',
    path: CHAT,
    body: chat({ logprobs: true, max_tokens: 8, guided_choice: ['😊'] }),
    shape: {
      '': (answer: unknown) => {
        const { choices } = answer as { choices: [{ logprobs: { content: { bytes: number[] }[] } }] };
        const bytes = choices[0].logprobs.content.flatMap((token) => token.bytes);
        return Buffer.from(bytes).subarray(0, 4).toString() === '😊';
      },
    },
  },
  {
    of: 'ggml-org/llama.cpp#20156: tools that run at OpenAI, beside functions',
    path: RESPONSES,
    body: response({
      max_output_tokens: 60,
      tools: [{ type: 'web_search' }, { type: 'namespace', name: 'n', tools: [] }, toolOf('f')],
      tool_choice: 'required',
      parallel_tool_calls: false,
    }),
    shape: { output: holds(1), 'output.0.name': 'f', parallel_tool_calls: false },
  },
  {
    of: 'ggml-org/llama.cpp#23465: the result of a call in parts',
    path: RESPONSES,
    body: response({
      input: [
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{"a":true}' },
        { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_text', text: 'ok' }] },
      ],
    }),
  },
  {
    of: 'unslothai/unsloth#9121: what was called with a text before',
    path: RESPONSES,
    body: response({
      input: [
        { role: 'user', content: 'Hi' },
        { type: 'custom_tool_call', call_id: 'c', name: 'apply_patch', input: '*** Begin Patch' },
        { type: 'custom_tool_call_output', call_id: 'c', output: 'ok' },
      ],
    }),
  },
  {
    of: 'openai/codex: reasoning with a summary and no content',
    path: RESPONSES,
    body: response({
      input: [
        { role: 'user', content: 'Hi' },
        { type: 'reasoning', content: null, summary: [{ type: 'summary_text', text: 'Hm.' }] },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
      ],
    }),
  },
  {
    of: 'microsoft/agent-framework#5322: allowed_tools as the Responses API has them',
    path: RESPONSES,
    body: response({
      ...{ max_output_tokens: 60, tools: [toolOf('f'), toolOf('g')], parallel_tool_calls: false },
      tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'g' }] },
    }),
    shape: { 'output.0.name': 'g' },
  },
  {
    of: 'vllm-project/vllm#45807: which of several stop sequences it was',
    path: MESSAGES,
    body: message({ max_tokens: 60, temperature: 0, stop_sequences: ['\u0000', 'e', 'a'] }),
    shape: { stop_reason: 'stop_sequence', stop_sequence: /^[ea]$/ },
  },
  {
    of: 'cline/cline#9660: by what words a client knows that the conversation is too long',
    path: MESSAGES,
    body: message({ messages: [{ role: 'user', content: 'word '.repeat(2000) }] }),
    status: 400,
    shape: { 'error.message': /^prompt is too long: / },
  },
  ...[
    { output_config: { format: { type: 'json_schema', schema }, effort: 'low' } },
    { output_format: { type: 'json_schema', schema } },
  ].map((more) => ({
    of: `langchain-ai/langchain#35036: ${Object.keys(more)[0]}`,
    path: MESSAGES,
    body: message({ ...more, max_tokens: 20 }),
    shape: { 'content.0.text': '"foo"', stop_reason: 'end_turn', stop_sequence: null },
  })),
  {
    of: 'anthropic.com: tools of many servers, with long names',
    path: MESSAGES,
    body: message({
      tools: Array.from({ length: 200 }, (_, i) => ({
        name: `mcp__${'server_'.repeat(14)}${i}`,
        input_schema: parameters,
      })),
      tool_choice: { type: 'none' },
    }),
  },
  {
    of: 'anthropic.com: one call where several are not wanted',
    path: MESSAGES,
    body: message({
      max_tokens: 60,
      tools: [{ name: 'f', input_schema: parameters }],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
    }),
    shape: { content: holds(1), 'content.0.name': 'f', stop_reason: 'tool_use' },
  },
  {
    of: 'vLLM: the tokens of messages with tools',
    path: '/tokenize',
    body: { messages: [hello], tools: [functionOf('f')], return_token_strs: true },
    shape: { '': (answer: unknown) => sameLength(answer as Body) },
  },
  {
    of: 'vLLM: ids that are none',
    path: '/detokenize',
    body: { tokens: [1, 999_999] },
    status: 400,
    shape: { 'error.param': 'tokens.1' },
  },
  {
    of: 'sgl-project/sglang#9696: the first call alone of those that a model writes by itself',
    path: CHAT,
    body: chat({
      ...{ tools: [functionOf('f')], parallel_tool_calls: false, max_tokens: 200 },
      guided_regex: exactly(`${hermes}\n${hermes}`),
    }),
    shape: { 'choices.0.message.tool_calls': holds(1), 'choices.0.message.content': null },
  },
];

const sameLength = ({ tokens, token_strs: texts }: Body): boolean =>
  (tokens as unknown[]).length === (texts as unknown[]).length;
