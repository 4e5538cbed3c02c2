import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type OpenAI from 'openai';
import { prepareChat } from '../../src/server/openai/prepare-chat.js';
import { serveModel } from '../../src/server/served-model.js';
import { openAiOf, type Served, serveTiny } from './served.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
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
    client = openAiOf(served);
  });
  after(() => served.stop());

  const options = {
    model: 'tiny',
    messages: [{ role: 'user' as const, content: 'Hi' }],
    response_format: { type: 'json_schema' as const, json_schema: { name: 'a', schema } },
  };

  it('has it behind the reasoning, also where max_tokens cuts this', async () => {
    for (const seed of [1, 2, 3]) {
      const { choices, usage } = await client.chat.completions.create({ ...options, max_tokens: 60, seed });
      expect(usage?.completion_tokens_details?.reasoning_tokens).to.be.within(10, 50);
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

// waybarrios/vllm-mlx#599, LostRuins/koboldcpp#1970
describe('reasoning between special tokens', function () {
  this.timeout(60_000);

  it('is seen, and guided answers begin without it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atb-think-'));
    try {
      await cp(TINY_STORIES, folder, { recursive: true });
      const file = join(folder, 'tokenizer.json');
      const text = await readFile(file, 'utf8');
      const { added_tokens: added } = JSON.parse(text) as { added_tokens: { content: string }[] };
      const [last] = added.slice(-1).map(({ content }) => JSON.stringify(content));
      await writeFile(file, text.replaceAll(last as string, '"[/THINK]"'));
      const chatTemplate = '{% for m in messages %}{{ m.content }}{% endfor %}[THINK]{# [/THINK] #}';
      const served = await serveTiny({}, { chatTemplate }, folder);
      try {
        const model = serveModel('tiny', served.llm);
        const request = {
          messages: [{ role: 'user', content: 'x' }],
          tools: [],
          toolChoice: 'auto',
        } as const;
        expect(await prepareChat(model, request)).to.include({ showsMarks: true, guide: undefined });
        const guide = { choice: ['foo'] };
        const chat = await prepareChat(model, { ...request, guide });
        expect(chat.guide).to.deep.equal(guide);
        expect(chat.reader().push('foo')).to.deep.equal([{ kind: 'text', text: 'foo' }]);
      } finally {
        await served.stop();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
