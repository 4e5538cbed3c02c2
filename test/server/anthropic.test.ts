import Anthropic from '@anthropic-ai/sdk';
import { expect } from 'chai';
import { type Served, serveTiny } from './served.js';

/** One that takes every role, calls and results. */
const TEMPLATE =
  '{% for m in messages %}{{ m.role }}: {{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}\n{% endfor %}';
const messages = [{ role: 'user' as const, content: 'Tell me a story about a cat.' }];
const tool = {
  name: 'get_weather',
  description: 'The weather of a city.',
  input_schema: {
    type: 'object' as const,
    properties: { city: { type: 'string', maxLength: 8 } },
    required: ['city'],
    additionalProperties: false,
  },
};

describe("the server, asked by Anthropic's package", function () {
  this.timeout(60_000);
  let served: Served;
  let client: Anthropic;
  before(async () => {
    served = await serveTiny({ apiKeys: ['key'] }, { chatTemplate: TEMPLATE });
    client = new Anthropic({ baseURL: served.address, apiKey: 'key', maxRetries: 0 });
  });
  after(() => served.stop());

  it('answers a message, at once and streamed, with what it counted', async () => {
    const options = { model: 'tiny', max_tokens: 20, messages, temperature: 0, system: 'Be kind.' };
    const whole = await client.messages.create(options);
    const [block] = whole.content;
    expect(block?.type === 'text' && block.text).to.match(/\w+ \w+/);
    expect([whole.stop_reason, whole.usage.output_tokens]).to.deep.equal(['max_tokens', 20]);
    const { input_tokens } = await client.messages.countTokens({
      model: 'tiny',
      messages,
      system: 'Be kind.',
    });
    const { input_tokens: computed, cache_read_input_tokens: cached } = whole.usage;
    expect(computed + (cached ?? 0)).to.equal(input_tokens);
    const stream = client.messages.stream(options);
    let streamed = '';
    stream.on('text', (text) => {
      streamed += text;
    });
    const final = await stream.finalMessage();
    expect(final.content).to.deep.equal(whole.content);
    expect(block?.type === 'text' && block.text).to.equal(streamed);
    expect(final.stop_reason).to.equal('max_tokens');
  });

  it('calls the tool that it must, and takes its result', async () => {
    const options = {
      ...{ model: 'tiny', max_tokens: 80, messages, tools: [tool] },
      tool_choice: { type: 'tool' as const, name: 'get_weather' },
    };
    const answer = await client.messages.create(options);
    expect(answer.stop_reason).to.equal('tool_use');
    const [call] = answer.content;
    if (call?.type !== 'tool_use') throw new Error('no call');
    expect(call.input).to.have.property('city');
    const streamed = await client.messages.stream(options).finalMessage();
    expect(streamed.content[0]).to.have.property('name', 'get_weather');
    const next = await client.messages.create({
      ...{ model: 'tiny', max_tokens: 8 },
      messages: [
        ...messages,
        { role: 'assistant', content: answer.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'sunny' }] },
      ],
    });
    expect(next.usage.output_tokens).to.be.within(1, 8);
  });

  // vllm-project/vllm#36829, sgl-project/sglang#21064, ollama/ollama#14918
  it("leaves out what Claude Code tells its biller, new with each request, so that a prompt's beginning is found", async () => {
    const ask = (cch: string, isText: boolean) => {
      const billing = `x-anthropic-billing-header: cc_version=2.1.100; cc_entrypoint=cli; cch=${cch};`;
      const system = 'Once there was a cat that had a red ball. '.repeat(4);
      return client.messages.create({
        ...{ model: 'tiny', max_tokens: 1, messages },
        system: isText
          ? `${billing}\n${system}`
          : [billing, system].map((text) => ({ type: 'text' as const, text })),
      });
    };
    const first = await ask('00000', false);
    for (const isText of [false, true]) {
      const { usage } = await ask('11111', isText);
      expect(usage.cache_read_input_tokens).to.be.above(31);
      expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).to.equal(
        first.usage.input_tokens + (first.usage.cache_read_input_tokens ?? 0),
      );
    }
  });

  // BerriAI/litellm#28580
  it('goes on with what the assistant has said of its answer', async () => {
    const begun = { role: 'assistant' as const, content: 'Once upon a' };
    const options = { model: 'tiny', max_tokens: 2, temperature: 0 };
    const { content } = await client.messages.create({ ...options, messages: [...messages, begun] });
    expect(content).to.deep.equal([{ type: 'text', text: ' time,' }]);
  });

  it('reads documents that are texts, behind their titles', async () => {
    const countOf = async (content: unknown): Promise<number> => {
      const asked = { model: 'tiny', messages: [{ role: 'user', content }] } as never;
      return (await client.messages.countTokens(asked)).input_tokens;
    };
    const text = { type: 'text', media_type: 'text/plain', data: 'The dog' };
    const blocks = { type: 'content', content: [{ type: 'text', text: 'The dog' }] };
    for (const source of [text, blocks])
      expect(await countOf([{ type: 'document', source, title: 'Pets' }])).to.equal(
        await countOf('Pets\nThe dog'),
      );
  });

  it('lists models as its package reads them', async () => {
    const page = await client.models.list();
    expect(page.data.map(({ id, type }) => [id, type])).to.deep.equal([['tiny', 'model']]);
    expect(page.has_more).to.equal(false);
  });

  it('leaves alone what coding agents add, and refuses what it cannot read', async () => {
    const post = (body: object, query = '') =>
      fetch(`${served.address}/v1/messages${query}`, {
        method: 'POST',
        headers: {
          'x-api-key': 'key',
          'content-type': 'application/json',
          'anthropic-version': '2023-06-01',
        },
        body: JSON.stringify(body),
      });
    const good = await post(
      {
        ...{ model: 'tiny', max_tokens: 4, metadata: { user_id: 'u' }, context_management: {}, betas: ['x'] },
        system: [{ type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } }],
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }] },
        ],
      },
      '?beta=true',
    );
    expect(good.status).to.equal(200);
    const picture = [{ role: 'user', content: [{ type: 'image', source: { type: 'base64', data: '' } }] }];
    for (const [body, status, type] of [
      [{ model: 'tiny', messages }, 400, 'invalid_request_error'],
      [{ model: 'tiny', max_tokens: 4, messages: picture }, 400, 'invalid_request_error'],
      [{ model: 'none', max_tokens: 4, messages }, 404, 'not_found_error'],
    ] as const) {
      const answer = await post(body);
      expect(answer.status).to.equal(status);
      expect(await answer.json()).to.have.nested.property('error.type', type);
    }
    const stranger = new Anthropic({ baseURL: served.address, apiKey: 'other', maxRetries: 0 });
    const refused = await stranger.messages
      .create({ model: 'tiny', max_tokens: 1, messages })
      .catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(Anthropic.AuthenticationError);
  });
});
