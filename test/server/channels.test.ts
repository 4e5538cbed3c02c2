import { expect } from 'chai';
import type OpenAI from 'openai';
import { prepareChat } from '../../src/server/openai/prepare-chat.js';
import { serveModel } from '../../src/server/served-model.js';
import { openAiOf, type Served, serveTiny } from './served.js';

/** Earlier answers in the channel `final`, as gpt-oss has them, and the beginning of one. */
const TEMPLATE =
  "{% for m in messages %}<|start|>{{ m.role }}{{ '<|channel|>final' if m.role == 'assistant' }}<|message|>{{ m.content }}<|end|>{% endfor %}<|start|>assistant";
const THOUGHT = '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant';
const CALL = '<|channel|>commentary to=functions.now <|constrain|>json<|message|>{"zone": "UTC"}';
const tool = { type: 'function' as const, function: { name: 'now', parameters: { type: 'object' } } };

/** A regular expression that only this text matches. */
const only = (text: string): string => text.replaceAll(/[<|>{}."=]/g, (char) => `\\${char}`);

describe('a model that answers in channels', function () {
  this.timeout(60_000);
  let served: Served;
  let client: OpenAI;
  before(async () => {
    served = await serveTiny({}, { chatTemplate: TEMPLATE });
    client = openAiOf(served);
  });
  after(() => served.stop());

  /** The message of an answer that is this text, and of the same as it comes. */
  async function answers(text: string, more: object = {}) {
    const body = {
      model: 'tiny',
      messages: [{ role: 'user' as const, content: 'What is the time?' }],
      guided_regex: only(text),
      ...more,
    };
    const whole = (await client.chat.completions.create({ ...body, stream: false })).choices[0];
    const pieces = { content: '', reasoning: '', calls: '' };
    for await (const { choices } of await client.chat.completions.create({ ...body, stream: true })) {
      const delta = (choices[0]?.delta ?? {}) as { content?: string; reasoning_content?: string };
      pieces.content += delta.content ?? '';
      pieces.reasoning += delta.reasoning_content ?? '';
      pieces.calls += choices[0]?.delta.tool_calls?.[0]?.function?.name ?? '';
    }
    return { whole, pieces };
  }

  it('has its reasoning told from its answer', async () => {
    const { whole, pieces } = await answers(`${THOUGHT}<|channel|>final<|message|>Noon.`);
    expect(whole?.message).to.include({ content: 'Noon.', reasoning_content: 'Hm.' });
    expect(pieces).to.deep.equal({ content: 'Noon.', reasoning: 'Hm.', calls: '' });
  });

  it('calls tools', async () => {
    const { whole, pieces } = await answers(THOUGHT + CALL, { tools: [tool] });
    expect(whole?.message).to.include({ content: null, reasoning_content: 'Hm.' });
    const [call] = whole?.message.tool_calls ?? [];
    expect(call).to.deep.include({
      type: 'function',
      function: { name: 'now', arguments: '{"zone": "UTC"}' },
    });
    expect(whole?.finish_reason).to.equal('tool_calls');
    expect(pieces).to.deep.equal({ content: '', reasoning: 'Hm.', calls: 'now' });
  });

  it('shows the marks, which may be special tokens, also without tools', async () => {
    const request = { messages: [{ role: 'user', content: 'x' }], tools: [], toolChoice: 'auto' } as const;
    expect(await prepareChat(serveModel('tiny', served.llm), request)).to.include({ showsMarks: true });
  });

  it('is told of earlier answers their text alone', async () => {
    const chat = served.llm.chat();
    const answer = `${THOUGHT}<|channel|>final<|message|>Noon.`;
    expect(await chat.ask('What is the time?', { guide: { regex: only(answer) } })).to.equal(answer);
    expect(chat.messages.at(-1)).to.deep.equal({ role: 'assistant', content: 'Noon.' });
  });
});
