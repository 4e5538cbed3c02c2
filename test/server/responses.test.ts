import { expect } from 'chai';
import OpenAI from 'openai';
import { ForeignParts } from '../../src/server/foreign-parts.js';
import { messagesOf } from '../../src/server/responses/items.js';
import { openAiOf, type Served, serveTiny } from './served.js';

/** One that takes every role, calls and results, and ends inside reasoning where it is asked to. */
const TEMPLATE =
  '{% for m in messages %}{{ m.role }}: {{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}\n{% endfor %}{% if reasoning_effort %}<think>{% endif %}{# </think> #}';
const tool = {
  ...{ type: 'function' as const, name: 'get_weather', description: null, strict: true },
  parameters: {
    type: 'object',
    properties: { city: { type: 'string', maxLength: 8 } },
    required: ['city'],
    additionalProperties: false,
  },
};

describe('the server, asked for responses by the openai package', function () {
  this.timeout(60_000);
  let served: Served;
  let client: OpenAI;
  before(async () => {
    served = await serveTiny({ apiKeys: ['key'] }, { chatTemplate: TEMPLATE });
    client = openAiOf(served, 'key');
  });
  after(() => served.stop());
  const options = { model: 'tiny', input: 'Tell me a story.', max_output_tokens: 20, temperature: 0 };

  it('answers at once, and streamed in the same words', async () => {
    const whole = await client.responses.create(options);
    expect(whole.output_text).to.match(/\w+ \w+/);
    expect([whole.status, whole.incomplete_details?.reason]).to.deep.equal([
      'incomplete',
      'max_output_tokens',
    ]);
    expect(whole.usage?.output_tokens).to.equal(20);
    expect(whole.output[0]).to.have.property('status', 'incomplete');
    const types: string[] = [];
    let streamed = '';
    let [number, last] = [0, ''];
    for await (const event of await client.responses.create({ ...options, stream: true })) {
      expect(event.sequence_number).to.equal(number++);
      if (event.type !== last) types.push(event.type);
      last = event.type;
      if (event.type === 'response.output_text.delta') streamed += event.delta;
      if (event.type === 'response.output_item.done')
        expect(event.item).to.have.property('status', 'incomplete');
      if (event.type === 'response.incomplete')
        expect(event.response.output_text ?? streamed).to.equal(streamed);
    }
    expect(streamed).to.equal(whole.output_text);
    expect(types).to.deep.equal([
      ...[
        'response.created',
        'response.in_progress',
        'response.output_item.added',
        'response.content_part.added',
      ],
      ...['response.output_text.delta', 'response.output_text.done', 'response.content_part.done'],
      ...['response.output_item.done', 'response.incomplete'],
    ]);
  });

  it('takes instructions, items, results of calls, and forms of text', async () => {
    const called = await client.responses.create({
      ...{ ...options, max_output_tokens: 60 },
      tools: [tool],
      tool_choice: { type: 'function', name: 'get_weather' },
    });
    const [call] = called.output;
    if (call?.type !== 'function_call') throw new Error('no call');
    expect(JSON.parse(call.arguments)).to.have.property('city');
    expect(called.status).to.equal('completed');
    const final = await client.responses
      .stream({ ...options, max_output_tokens: 60, tools: [tool], tool_choice: 'required' })
      .finalResponse();
    expect(final.output[0]).to.have.property('name', 'get_weather');
    const next = await client.responses.create({
      ...options,
      instructions: 'Be brief.',
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'How is it?' }] },
        { type: 'function_call', call_id: call.call_id, name: call.name, arguments: call.arguments },
        { type: 'function_call_output', call_id: call.call_id, output: 'sunny' },
      ],
    });
    expect(next.output_text).to.not.equal('');
    const formed = await client.responses.create({
      ...{ ...options, max_output_tokens: 60 },
      text: { format: { type: 'json_schema', name: 'city', schema: tool.parameters, strict: true } },
    });
    expect(JSON.parse(formed.output_text)).to.have.property('city');
  });

  // ggml-org/llama.cpp#19773, vllm-project/vllm#42189
  it('joins what the assistant thought, said and called to one message, as templates know it', () => {
    const call = (id: string) => ({ type: 'function_call', call_id: id, name: 'f', arguments: '{}' });
    const messages = messagesOf(
      {
        input: [
          { role: 'user', content: 'Hi' },
          { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }] },
          { type: 'message', role: 'assistant', content: 'I look.' },
          ...['1', '2'].map(call),
          ...['1', '2'].map((id) => ({ type: 'function_call_output', call_id: id, output: 'ok' })),
          call('3'),
          { type: 'message', role: 'assistant', content: 'Done.' },
          { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Well.' }] },
        ],
      },
      new ForeignParts(false),
    );
    expect(
      messages.map(({ role, content, reasoning_content: thoughts, tool_calls: calls }) => [
        ...[role, content, thoughts],
        (calls as object[] | undefined)?.length,
      ]),
    ).to.deep.equal([
      ['user', 'Hi', undefined, undefined],
      ['assistant', 'I look.', 'Hm.', 2],
      ['tool', 'ok', undefined, undefined],
      ['tool', 'ok', undefined, undefined],
      ['assistant', '', undefined, 1],
      ['assistant', 'Done.', undefined, undefined],
      ['assistant', '', 'Well.', undefined],
    ]);
  });

  it('tells reasoning from text', async () => {
    const { output, usage } = await client.responses.create({ ...options, reasoning: { effort: 'low' } });
    expect(output.map(({ type }) => type)).to.deep.equal(['reasoning']);
    expect(usage?.output_tokens_details.reasoning_tokens).to.be.within(15, 20);
  });

  it('refuses what would need a memory, and what it cannot read', async () => {
    const codeOf = (body: object): Promise<unknown> =>
      client.responses.create({ ...options, ...body } as never).then(
        () => 'accepted',
        (error: unknown) => (error instanceof OpenAI.APIError ? [error.status, error.param] : error),
      );
    expect(await codeOf({ previous_response_id: 'resp_1' })).to.deep.equal([400, 'previous_response_id']);
    expect(await codeOf({ top_logprobs: 3 })).to.deep.equal([400, 'top_logprobs']);
    expect(await codeOf({ include: ['message.output_text.logprobs'] })).to.deep.equal([400, 'include']);
    expect(await codeOf({ background: true })).to.deep.equal([400, 'background']);
    expect(await codeOf({ tools: [{ type: 'web_search' }] })).to.deep.equal([400, 'tools.0']);
    expect(await codeOf({ input: [{ type: 'image_generation_call' }] })).to.deep.equal([400, 'input.0']);
    expect(await codeOf({ input: [{ role: 'user', content: [{ type: 'input_image' }] }] })).to.deep.equal([
      400,
      'input.0.content.0',
    ]);
    expect(await codeOf({ input: [] })).to.deep.equal([400, 'input']);
    expect(await codeOf({ max_output_tokens: 0 })).to.deep.equal([400, 'max_output_tokens']);
    expect(await codeOf({ store: true, metadata: { a: 'b' }, max_output_tokens: 1 })).to.equal('accepted');
  });
});
