import { expect } from 'chai';
import OpenAI from 'openai';
import type { LLM } from '../../src/engine/llm.js';
import { openAiOf, type Served, serveTiny } from './served.js';

const messages = [{ role: 'user' as const, content: 'Tell me a story about a cat.' }];

describe('the server, asked by the openai package', function () {
  this.timeout(60_000);
  let served: Served;
  let llm: LLM;
  let client: OpenAI;
  before(async () => {
    served = await serveTiny({ apiKeys: ['key-1', 'key-2'] });
    llm = served.llm;
    client = openAiOf(served, 'key-2');
  });
  after(() => served.stop());

  it('lists its models', async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).to.deep.equal(['tiny']);
    expect((await client.models.retrieve('tiny')).object).to.equal('model');
    const missing = await client.models.retrieve('none').catch((error: unknown) => error);
    expect(missing).to.be.instanceOf(OpenAI.NotFoundError).with.property('code', 'model_not_found');
  });

  it('completes a text as the library does', async () => {
    const options = { model: 'tiny', prompt: 'Once upon a time', max_tokens: 20, temperature: 0 };
    const { choices, usage } = await client.completions.create(options);
    const alone = await llm.generate('Once upon a time', { maxTokens: 20, temperature: 0 });
    expect(choices[0]?.text).to.equal(alone.text);
    expect(choices[0]?.finish_reason).to.equal('length');
    expect(usage).to.deep.equal({
      prompt_tokens: alone.promptTokens,
      completion_tokens: 20,
      total_tokens: alone.promptTokens + 20,
      prompt_tokens_details: { cached_tokens: 0 },
    });
    let streamed = '';
    for await (const chunk of await client.completions.create({ ...options, stream: true }))
      streamed += chunk.choices[0]?.text ?? '';
    expect(streamed).to.equal(alone.text);
    const several = await client.completions.create({
      ...options,
      prompt: ['The cat', 'A dog'],
      n: 2,
      echo: true,
    });
    expect(several.choices.map(({ text }) => text.slice(0, 5))).to.deep.equal([
      'The c',
      'The c',
      'A dog',
      'A dog',
    ]);
    const scored = { ...options, logprobs: 2, stop: ['never to be found'] };
    const { logprobs } = (await client.completions.create(scored)).choices[0] ?? {};
    const offsets: number[] = [];
    for await (const { choices: found } of await client.completions.create({ ...scored, stream: true }))
      offsets.push(...(found[0]?.logprobs?.text_offset ?? []));
    expect(offsets).to.deep.equal(logprobs?.text_offset);
    expect(logprobs?.tokens?.join('')).to.equal(alone.text);
    expect(logprobs?.text_offset?.[1]).to.equal(logprobs?.tokens?.[0]?.length);
  });

  it('chats, at once and streamed, with usage and several answers', async () => {
    const options = { model: 'tiny', messages, max_tokens: 24, temperature: 0.8, seed: 3 };
    const whole = await client.chat.completions.create({ ...options, n: 2, logprobs: true, top_logprobs: 2 });
    expect(whole.choices).to.have.length(2);
    const [first, second] = whole.choices;
    expect(first?.message.content)
      .to.match(/\w+ \w+/)
      .and.not.equal(second?.message.content);
    expect(first?.logprobs?.content).to.have.length(24);
    expect(first?.logprobs?.content?.[0]?.top_logprobs).to.have.length(2);
    const texts = ['', ''];
    let usage: unknown;
    const stream = await client.chat.completions.create({
      ...options,
      n: 2,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      usage ??= chunk.usage;
      for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? '';
    }
    expect(texts).to.deep.equal([first?.message.content, second?.message.content]);
    expect(usage).to.deep.equal(whole.usage);
  });

  it('writes what a schema asks for', async () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', maxLength: 10 },
        age: { type: 'integer', minimum: 0, maximum: 9 },
      },
      required: ['name', 'age'],
      additionalProperties: false,
    };
    const { choices } = await client.chat.completions.create({
      ...{ model: 'tiny', messages, max_tokens: 60 },
      response_format: { type: 'json_schema', json_schema: { name: 'person', schema, strict: true } },
    });
    const value = JSON.parse(choices[0]?.message.content ?? '') as { name: string; age: number };
    expect(value.age).to.be.within(0, 9);
    const refused = await client.chat.completions
      .create({
        ...{ model: 'tiny', messages },
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { not: {} } } },
      })
      .catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(OpenAI.BadRequestError).with.property('code', 'invalid_schema');
  });

  it('calls the tool that it must, and one of several', async () => {
    const tool = (name: string) => ({
      type: 'function' as const,
      function: {
        name,
        parameters: {
          type: 'object',
          properties: { city: { type: 'string', maxLength: 8 } },
          required: ['city'],
          additionalProperties: false,
        },
      },
    });
    const tools = [tool('get_weather'), tool('get_time')];
    const options = { model: 'tiny', messages, tools, max_tokens: 100 };
    const named = await client.chat.completions.create({
      ...options,
      tool_choice: { type: 'function', function: { name: 'get_time' } },
    });
    const [choice] = named.choices;
    expect(choice?.finish_reason).to.equal('tool_calls');
    expect(choice?.message.content).to.equal(null);
    const [call] = choice?.message.tool_calls ?? [];
    if (call?.type !== 'function') throw new Error('no call of a function');
    expect(call.function.name).to.equal('get_time');
    expect(JSON.parse(call.function.arguments)).to.have.property('city');
    const stream = client.chat.completions.stream({ ...options, tool_choice: 'required' });
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]?.message.tool_calls?.[0]?.function.name).to.be.oneOf(['get_weather', 'get_time']);
  });

  it('stops when the client does, and frees what it held', async () => {
    const stream = await client.chat.completions.create({
      ...{ model: 'tiny', messages, stream: true, max_tokens: 200 },
      stop: ['never to be found'],
    });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    while (llm.stats.running > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const controller = new AbortController();
    const whole = client.chat.completions
      // Many, so that they are still there when this looks, however busy the machine is.
      .create({ model: 'tiny', messages, max_tokens: 200, n: 32 }, { signal: controller.signal })
      .catch((error: unknown) => error);
    while (llm.stats.running === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort();
    expect(await whole).to.be.instanceOf(OpenAI.APIUserAbortError);
    while (llm.stats.running > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  });

  it('says what is wrong with a request, in the field at fault', async () => {
    const codeOf = async (body: object): Promise<unknown> =>
      client.chat.completions.create({ model: 'tiny', messages, ...body } as never).then(
        () => 'accepted',
        (error: unknown) =>
          error instanceof OpenAI.APIError ? [error.status, error.param ?? error.code] : error,
      );
    expect(await codeOf({ temperature: -1 })).to.deep.equal([400, 'temperature']);
    expect(await codeOf({ temperature: 'hot' })).to.deep.equal([400, 'temperature']);
    expect(await codeOf({ n: 1000 })).to.deep.equal([400, 'n']);
    expect(await codeOf({ messages: [] })).to.deep.equal([400, 'messages']);
    expect(await codeOf({ messages: [{ role: 'user', content: 'a '.repeat(2000) }] })).to.deep.equal([
      400,
      'context_length_exceeded',
    ]);
    expect(
      await codeOf({
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }],
      }),
    ).to.deep.equal([400, 'messages.0.content.0']);
    const wizard = { model: 'tiny', messages: [{ role: 'wizard', content: 'Hi' }] };
    const raised = await client.chat.completions
      .create(wizard as never)
      .catch((error: Error) => error.message);
    expect(raised).to.match(/ of tokenizer_config.json refuses this conversation: Unknown role: wizard/);
    expect(await codeOf({ tool_choice: 'required' })).to.deep.equal([400, 'tool_choice']);
    const unbuilt = {
      use_beam_search: true,
      bad_words: ['x'],
      allowed_token_ids: [1],
      chat_template: '{{ 1 }}',
    };
    for (const field of Object.entries(unbuilt))
      expect(await codeOf(Object.fromEntries([field]))).to.deep.equal([400, field[0]]);
    const absent = { use_beam_search: false, bad_words: [], chat_template: null, max_tokens: 1 };
    expect(await codeOf(absent)).to.equal('accepted');
    expect(await codeOf({ unheard_of: 1, max_tokens: 1 })).to.equal('accepted');
    const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: 'key-3', maxRetries: 0 });
    const refused = await stranger.models.list().catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(OpenAI.AuthenticationError);
  });
});
