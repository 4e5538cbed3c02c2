import { expect } from 'chai';
import { openAiOf, type Served, serveTiny } from './served.js';

const KIMI = ['section_begin', 'section_end'].map((mark) => `<|tool_calls_${mark}|>`);
const exactly = (text: string): string => text.replaceAll(/[<|>{}[\]().*+?^$\\/]/g, (char) => `\\${char}`);
const parameters = { type: 'object', properties: { a: { type: 'boolean' } }, additionalProperties: false };
const tools = [{ type: 'function' as const, function: { name: 'f', parameters } }];
const written =
  '{% for m in messages %}{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}\n{% endfor %}';

/** What a model with this template answers, as it is made to write it, and what it answers to the call's result. */
async function turns(template: string, more: object): Promise<{ ids: string[]; status: string }> {
  const served: Served = await serveTiny({}, { chatTemplate: template });
  try {
    const client = openAiOf(served);
    const messages = [{ role: 'user' as const, content: 'Hi' }];
    const options = { model: 'tiny', max_tokens: 150, messages, tools, seed: 1, ...more };
    const { choices } = await client.chat.completions.create(options);
    const [choice] = choices;
    if (!choice?.message.tool_calls) throw new Error('no call');
    const results = choice.message.tool_calls.map(({ id }) => ({
      ...{ role: 'tool' as const, tool_call_id: id, content: 'ok' },
    }));
    const next = await client.chat.completions.create({
      ...{ model: 'tiny', max_tokens: 2 },
      messages: [...messages, choice.message, ...results],
    });
    return {
      ids: choice.message.tool_calls.map(({ id }) => id),
      status: next.choices[0]?.finish_reason ?? '',
    };
  } finally {
    await served.stop();
  }
}

describe('ids of calls', function () {
  this.timeout(60_000);

  // vllm-project/vllm#9019, ml-explore/mlx-lm#1375, jundot/omlx#1997
  it("are nine letters and digits for Mistral's templates, which raise for others", async () => {
    const raises =
      "{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.id | length != 9 %}{{ raise_exception('ids have 9') }}{% endif %}{% endfor %}{% endfor %}{# [TOOL_CALLS] #}";
    const call = '[TOOL_CALLS][{"name": "f", "arguments": {"a": true}}]';
    for (const more of [
      { guided_regex: exactly(call) },
      { tool_choice: 'required', parallel_tool_calls: false },
    ]) {
      const { ids, status } = await turns(raises + written, more);
      expect([ids.length, status]).to.deep.equal([1, 'length']);
      expect(ids[0]).to.match(/^[a-zA-Z0-9]{9}$/);
    }
  });

  it('are those that a model writes, where its format has any', async () => {
    const call = '<|tool_call_begin|>functions.f:3<|tool_call_argument_begin|>{"a": true}<|tool_call_end|>';
    const { ids } = await turns(`${written}{# ${KIMI[0]} #}`, {
      guided_regex: exactly(`${KIMI[0]}${call}${KIMI[1]}`),
    });
    expect(ids).to.deep.equal(['functions.f:3']);
  });
});
