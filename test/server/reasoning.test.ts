import { expect } from 'chai';
import OpenAI from 'openai';
import { type Served, serveTiny } from './served.js';

/** A prompt that ends inside reasoning. */
const TEMPLATE = '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}<think>\n{# </think> #}';
const schema = {
  type: 'object',
  properties: { a: { const: 'foo' } },
  required: ['a'],
  additionalProperties: false,
};

// vllm-project/vllm#48863, lmstudio-ai/lmstudio-bug-tracker#1773 and #1698
describe('an answer that has a form, of a model whose prompt opens its reasoning', function () {
  this.timeout(60_000);
  let served: Served;
  let client: OpenAI;
  before(async () => {
    served = await serveTiny({}, { chatTemplate: TEMPLATE });
    client = new OpenAI({ baseURL: `${served.address}/v1`, apiKey: 'none', maxRetries: 0 });
  });
  after(() => served.stop());

  const options = {
    model: 'tiny',
    messages: [{ role: 'user' as const, content: 'Hi' }],
    response_format: { type: 'json_schema' as const, json_schema: { name: 'a', schema } },
  };

  it('has it behind the reasoning, also where max_tokens cuts this', async () => {
    for (const seed of [1, 2, 3]) {
      const { choices } = await client.chat.completions.create({ ...options, max_tokens: 60, seed });
      const { content, reasoning_content: thoughts } = (choices[0]?.message ?? {}) as {
        content?: string;
        reasoning_content?: string;
      };
      expect(JSON.parse(content ?? '')).to.deep.equal({ a: 'foo' });
      expect(thoughts).to.match(/\w/).and.to.not.include('think>');
    }
  });

  it('has it streamed as content', async () => {
    let [content, thoughts] = ['', ''];
    const stream = await client.chat.completions.create({
      ...options,
      max_tokens: 60,
      seed: 1,
      stream: true,
    });
    for await (const { choices } of stream) {
      const delta = (choices[0]?.delta ?? {}) as { content?: string; reasoning_content?: string };
      content += delta.content ?? '';
      thoughts += delta.reasoning_content ?? '';
    }
    expect(JSON.parse(content)).to.deep.equal({ a: 'foo' });
    expect(thoughts).to.match(/\w/);
  });
});
