import Anthropic from '@anthropic-ai/sdk';
import { expect } from 'chai';
import { openAiOf, type Served, serveTiny } from './served.js';

const TEMPLATE = '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{# <tool_call> #}';
const parameters = {
  type: 'object' as const,
  properties: { a: { const: 'a cat' }, b: { enum: [1, 22] } },
  required: ['a', 'b'],
  additionalProperties: false,
};
const messages = [{ role: 'user' as const, content: 'Hi' }];
/** A call with white space, which its arguments have none of. */
const WRITTEN = '<tool_call>\n{"name": "f", "arguments": {"a": "a  cat", "b": [1, 2]}}\n</tool_call>';

/** Of each API, a call as a whole, and the pieces of one that is streamed. */
describe('calls that are streamed', function () {
  this.timeout(60_000);
  let served: Served;
  before(async () => {
    served = await serveTiny({}, { chatTemplate: TEMPLATE });
  });
  after(() => served.stop());

  function expectPieces(pieces: readonly string[], whole: string | undefined): void {
    expect(whole).to.match(/^\{"a":.*\}$/);
    expect(pieces.join('')).to.equal(whole);
    expect(pieces.filter((piece) => piece !== '').length).to.be.above(3);
  }

  it('come piece by piece to clients of chat completions, whether the model decides or must', async () => {
    const { completions } = openAiOf(served).chat;
    const tool = { type: 'function' as const, function: { name: 'f', parameters } };
    const guided_regex = WRITTEN.replaceAll(/[{}[\]]/g, '\\$&');
    const must = { tool_choice: 'required' as const, parallel_tool_calls: false, temperature: 0 };
    for (const more of [{ guided_regex }, must]) {
      const options = { model: 'tiny', max_tokens: 100, messages, tools: [tool], ...more };
      const { choices } = await completions.create(options);
      const [call] = choices[0]?.message.tool_calls ?? [];
      const pieces: string[] = [];
      const named: unknown[] = [];
      let reason: string | null | undefined;
      for await (const { choices: parts } of await completions.create({ ...options, stream: true })) {
        for (const { index, id, function: called } of parts[0]?.delta.tool_calls ?? []) {
          pieces.push(called?.arguments ?? '');
          if (id) named.push([index, called?.name, called?.arguments]);
        }
        reason = parts[0]?.finish_reason ?? reason;
      }
      expectPieces(pieces, call?.type === 'function' ? call.function.arguments : undefined);
      expect([named, reason]).to.deep.equal([[[0, 'f', '']], 'tool_calls']);
    }
  });

  it('that max_tokens cuts end as such, with what there is of them', async () => {
    const stream = openAiOf(served).chat.completions.stream({
      ...{ model: 'tiny', max_tokens: 60, messages, stream: true },
      tools: [{ type: 'function', function: { name: 'f', parameters } }],
      ...{
        guided_regex: '<tool_call>\\{"name": "f", "arguments": \\{"a": "x*',
        logit_bias: { '1': -100, '6': -100 },
      },
    });
    let text = '';
    let reason: string | null | undefined;
    for await (const { choices } of stream) {
      text += choices[0]?.delta.tool_calls?.[0]?.function?.arguments ?? '';
      reason = choices[0]?.finish_reason ?? reason;
    }
    expect(text).to.match(/^\{"a":"x+$/);
    expect(reason).to.equal('length');
  });

  it('come to clients of responses', async () => {
    const { responses } = openAiOf(served);
    const tools = [{ type: 'function' as const, name: 'f', parameters, strict: false }];
    const options = { model: 'tiny', input: 'Hi', tools, tool_choice: 'required' as const, temperature: 0 };
    const { output } = await responses.create({ ...options, parallel_tool_calls: false });
    const pieces: string[] = [];
    let done: string | undefined;
    for await (const event of await responses.create({
      ...options,
      parallel_tool_calls: false,
      stream: true,
    })) {
      if (event.type === 'response.function_call_arguments.delta') pieces.push(event.delta);
      if (event.type === 'response.function_call_arguments.done') done = event.arguments;
    }
    expectPieces(pieces, output[0]?.type === 'function_call' ? output[0].arguments : undefined);
    expect(done).to.equal(pieces.join(''));
  });

  it("come to clients of Anthropic's messages", async () => {
    const client = new Anthropic({ baseURL: served.address, apiKey: 'none', maxRetries: 0 });
    const options = {
      ...{ model: 'tiny', max_tokens: 100, messages, temperature: 0 },
      tools: [{ name: 'f', input_schema: parameters }],
      tool_choice: { type: 'any' as const, disable_parallel_tool_use: true },
    };
    const { content } = await client.messages.create(options);
    const [call] = content;
    const pieces: string[] = [];
    const stream = client.messages.stream(options);
    for await (const event of stream)
      if (event.type === 'content_block_delta' && event.delta.type === 'input_json_delta')
        pieces.push(event.delta.partial_json);
    expectPieces(pieces, call?.type === 'tool_use' ? JSON.stringify(call.input) : undefined);
    const final = await stream.finalMessage();
    expect([final.content.length, final.stop_reason]).to.deep.equal([1, 'tool_use']);
    expect(final.content[0]).to.have.deep.property('input', call?.type === 'tool_use' && call.input);
  });
});
