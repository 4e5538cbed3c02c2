import { expect } from 'chai';
import type OpenAI from 'openai';
import { openAiOf, type Served, serveTiny } from './served.js';

type Body = OpenAI.Responses.ResponseCreateParamsNonStreaming;

const TEMPLATE =
  '{% for t in tools or [] %}{{ t.function.name }}: {{ t.function.description }}\n{% endfor %}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}\n{% endfor %}{# <tool_call> #}';
const target = { type: 'object', properties: { target: { enum: ['a', 'b'] } }, additionalProperties: false };
const close = {
  type: 'function',
  name: 'close_agent',
  description: 'Ends it.',
  strict: false,
  parameters: target,
};

/** Tools as Codex 0.171 brings them: for models that it does not know in `tools`, for others in an item of the input. */
const TOOLS = [
  { type: 'function', name: 'exec_command', strict: false, parameters: { type: 'object', properties: {} } },
  {
    ...{ type: 'custom', name: 'apply_patch', description: 'Changes files.' },
    format: { type: 'grammar', syntax: 'lark', definition: 'start: "*** Begin Patch" /.+/' },
  },
  { type: 'namespace', name: 'multi_agent_v1', description: 'Agents.', tools: [close] },
  { type: 'web_search', external_web_access: true },
];
const COMMON = [{ type: 'namespace', name: 'functions', description: '', tools: [TOOLS[1]] }];

describe("Codex's requests", function () {
  this.timeout(60_000);
  let served: Served;
  let client: OpenAI;
  before(async () => {
    served = await serveTiny({}, { chatTemplate: TEMPLATE, maxModelLen: 512 });
    client = openAiOf(served);
  });
  after(() => served.stop());

  /** The only item of the answer, which is the same when it is streamed, and the types of the stream's events. */
  async function called(more: object): Promise<{ item: Record<string, unknown>; types: string[] }> {
    const body = {
      ...{ model: 'tiny', input: 'Hi', tools: TOOLS, max_output_tokens: 90, temperature: 0 },
      ...{ store: false, include: ['reasoning.encrypted_content'], parallel_tool_calls: false, ...more },
    } as unknown as Body;
    const { output } = await client.responses.create(body);
    expect(output).to.have.length(1);
    const types: string[] = [];
    let [done, text]: [Record<string, unknown>, string] = [{}, ''];
    for await (const event of await client.responses.create({ ...body, stream: true })) {
      types.push(event.type.replace('response.', ''));
      if (event.type === 'response.output_item.done') done = { ...event.item };
      if ('delta' in event && typeof event.delta === 'string') text += event.delta;
    }
    const [item] = output.map((one): Record<string, unknown> => ({ ...one }));
    const without = ({ id: _, call_id: __, ...rest }: Record<string, unknown>) => rest;
    expect(without(done)).to.deep.equal(without(item as Record<string, unknown>));
    expect(text).to.equal(done.input ?? done.arguments);
    return { item: item as Record<string, unknown>, types: [...new Set(types)] };
  }

  /** What a client sends back, with what has come of it. */
  async function goOn(item: Record<string, unknown>, type: string): Promise<void> {
    const input = [{ role: 'user', content: 'Hi' }, item, { type, call_id: item.call_id, output: 'ok' }];
    const body = { model: 'tiny', input, max_output_tokens: 2 } as unknown as Body;
    expect(await client.responses.create(body)).to.have.property('status', 'incomplete');
  }

  // ROCm/ATOM#2178, unslothai/unsloth#9121
  it('get calls of tools that take a text with the text, piece by piece as the API has it', async () => {
    const { item, types } = await called({ tool_choice: { type: 'custom', name: 'apply_patch' } });
    expect([item.type, item.name, typeof item.input]).to.deep.equal([
      ...['custom_tool_call', 'apply_patch', 'string'],
    ]);
    expect(item.input).to.not.match(/^\{/);
    expect(types).to.include.members(['custom_tool_call_input.delta', 'custom_tool_call_input.done']);
    await goOn(item, 'custom_tool_call_output');
  });

  // Neroued/ninfer#45: each server of MCP is such a group
  it('get calls of tools that stand in groups, with the name of the group', async () => {
    const choice = { type: 'function', name: 'close_agent', namespace: 'multi_agent_v1' };
    const { item } = await called({ tool_choice: choice });
    expect(item).to.include({ type: 'function_call', name: 'close_agent', namespace: 'multi_agent_v1' });
    await goOn(item, 'function_call_output');
  });

  it('may have their tools in the input', async () => {
    const input = [
      { type: 'additional_tools', role: 'developer', tools: COMMON },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] },
    ];
    const { item } = await called({ input, tools: undefined, tool_choice: 'required' });
    expect(item).to.include({ type: 'custom_tool_call', name: 'apply_patch', namespace: 'functions' });
    await goOn(item, 'custom_tool_call_output');
  });

  it('hear of failures by the event that it looks for, and other clients by theirs', async () => {
    const options = { model: 'tiny', input: 'Hi', max_output_tokens: 200, stream: true } as const;
    let failed: string | undefined;
    let thrown: unknown;
    // On a busy machine an answer may have ended before it is broken off.
    for (let attempt = 0; attempt < 20 && failed === undefined; attempt++) {
      const other = await serveTiny();
      try {
        for await (const event of await openAiOf(other).responses.create(options)) {
          if (event.type === 'response.output_text.delta') void other.llm.dispose();
          if (event.type === 'response.failed') failed = event.response.error?.message;
        }
      } catch (error) {
        thrown = error;
      } finally {
        await other.stop();
      }
    }
    expect(failed).to.be.a('string').and.not.equal('');
    expect(thrown).to.have.property('message').that.includes(failed);
  });

  it('tell the model of all tools that run at the client, each with its group and its grammar', async () => {
    const tokens = async (tools: readonly object[]): Promise<number> => {
      const body = { model: 'tiny', input: 'Hi', tools, max_output_tokens: 1 } as unknown as Body;
      return (await client.responses.create(body)).usage?.input_tokens ?? 0;
    };
    const all = await tokens(TOOLS);
    expect(await tokens(TOOLS.slice(0, 3))).to.equal(all);
    for (const left of [0, 1, 2]) expect(await tokens(TOOLS.toSpliced(left, 1)), `${left}`).to.be.below(all);
  });
});
