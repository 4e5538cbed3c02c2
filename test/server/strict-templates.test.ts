import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { renderTaken } from '../../src/server/openai/strict-templates.js';
import { type ChatMessage, ChatTemplate } from '../../src/tokenizer/chat-template.js';
import { type Served, serveTiny } from './served.js';

const SHOWN =
  '[{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{% endfor %}]';
const refusing = (condition: string, message: string): string =>
  `{% if ${condition} %}{{ raise_exception('${message}') }}{% endif %}`;
const ofEach = (body: string): string => `{% for m in messages %}${body}${SHOWN}{% endfor %}`;

/** What published templates raise for. */
const STRICT = {
  'Qwen 3.5': ofEach(
    refusing("m.role == 'system' and not loop.first", 'System message must be at the beginning.'),
  ),
  Mistral: `{% set ns = namespace(last='') %}${ofEach(
    `{% if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}${refusing('m.role == ns.last', 'Roles must alternate.')}{% set ns.last = m.role %}{% endif %}${refusing("m.role == 'system' and not loop.first", 'Roles must alternate.')}`,
  )}`,
  'Gemma 2': ofEach(refusing("m.role == 'system'", 'System role not supported')),
  'GLM 4.5': ofEach(
    '{% for c in m.tool_calls or [] %}{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }};{% endfor %}{% endfor %}',
  ),
};

const call = (args: unknown): ChatMessage => ({
  role: 'assistant',
  content: '',
  tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: args } }],
});

/** As agents send it: two messages of the system and two of the user to begin with, and reminders later. */
const AGENTS: readonly ChatMessage[] = [
  { role: 'system', content: 'A' },
  { role: 'system', content: 'B' },
  { role: 'user', content: 'C' },
  { role: 'user', content: 'D' },
  { role: 'system', content: 'E' },
  call({ a: 1 }),
  { role: 'tool', tool_call_id: 'c', content: 'F' },
  { role: 'system', content: 'G' },
];

describe('conversations of agents and strict templates', function () {
  this.timeout(60_000);
  const rendered = (source: string, messages: readonly ChatMessage[]): Promise<string> => {
    const template = new ChatTemplate(source, 'test.jinja');
    const render = (taken: readonly ChatMessage[]): string => template.render({ messages: taken });
    return renderTaken(messages, async (taken) => render(taken), render);
  };
  const reminder = (text: string): string => `<system-reminder>\n${text}\n</system-reminder>`;

  it('are as they are where the template takes them', async () => {
    expect(await rendered(ofEach(''), AGENTS)).to.equal(
      '[system:A][system:B][user:C][user:D][system:E][assistant:{"a": 1}][tool:F][system:G]',
    );
  });

  for (const name of ['Qwen 3.5', 'Mistral'] as const)
    it(`have one message of the system, and reminders behind, for ${name}`, async () => {
      expect(await rendered(STRICT[name], AGENTS)).to.equal(
        `[system:A\n\nB][user:C\n\nD\n\n${reminder('E')}][assistant:{"a": 1}][tool:F\n\n${reminder('G')}]`,
      );
    });

  it('have none for Gemma 2, whose user says it all', async () => {
    expect(await rendered(STRICT['Gemma 2'], AGENTS)).to.match(/^\[user:A\n\nB\n\nC\n\nD\n\n<system/);
  });

  it('keep what the system says later, where the template would leave it out in silence', async () => {
    const first = "{% if m.role != 'system' or loop.first %}";
    expect(await rendered(`{% for m in messages %}${first}${SHOWN}{% endif %}{% endfor %}`, AGENTS)).to.equal(
      `[system:A\n\nB][user:C\n\nD\n\n${reminder('E')}][assistant:{"a": 1}][tool:F\n\n${reminder('G')}]`,
    );
  });

  it('are as they are where no way keeps what the system says', async () => {
    const counts = '{{ messages | length }}';
    expect(await rendered(counts, AGENTS)).to.equal('8');
  });

  it("keep parts that are no texts, and the beginning of the assistant's turn behind a reminder", async () => {
    const picture = { type: 'image', image: 'x' };
    const messages = [
      { role: 'system', content: 'A' },
      { role: 'user', content: [picture] },
      { role: 'system', content: 'B' },
      { role: 'assistant', content: 'C' },
      { role: 'system', content: 'D' },
    ];
    const take = async (given: readonly ChatMessage[]) => {
      if (given !== messages) return given;
      throw new AtbError('TEMPLATE_REFUSED', { source: 'test.jinja', reason: 'too many' });
    };
    const taken = await renderTaken(messages, take, JSON.stringify);
    const texts = ['\n\n', reminder('B')].map((text) => ({ type: 'text', text }));
    expect(taken).to.deep.equal([
      { role: 'system', content: 'A' },
      { role: 'user', content: [picture, ...texts] },
      { role: 'assistant', content: 'C' },
      { role: 'user', content: reminder('D') },
    ]);
  });

  it('have calls whose arguments are no JSON as the model wrote them, or as a text of an object', async () => {
    const broken = [{ role: 'user', content: 'A' }, call('{"cmd": "ls')];
    expect(await rendered(ofEach(''), broken)).to.equal('[user:A][assistant:"{\\"cmd\\": \\"ls"]');
    expect(await rendered(STRICT['GLM 4.5'], broken)).to.match(/input=\{"cmd": "ls;/);
  });

  it('have a text in each message, where the template cannot do without one', async () => {
    const { content: _, ...textless } = call({ a: 1 });
    const messages = [{ role: 'user', content: 'A' }, textless];
    expect(await rendered(ofEach(''), messages)).to.equal('[user:A][assistant:{"a": 1}]');
    const adds = ofEach('{% set text = m.content + "" %}');
    expect(await rendered(adds, messages)).to.equal('[user:A][assistant:{"a": 1}]');
  });

  it('fail as they are where the template takes nothing, or runs for too long', async () => {
    const codeOf = (source: string): Promise<unknown> =>
      rendered(source, AGENTS).catch((error: unknown) => (error instanceof AtbError ? error.message : error));
    const first = "{{ raise_exception('wants ' ~ messages | length) }}";
    expect(await codeOf(first)).to.match(/TEMPLATE_REFUSED.*wants 8/s);
    expect(
      await codeOf('{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}'),
    ).to.match(/TEMPLATE_LIMIT/);
  });

  describe('in requests', () => {
    let served: Served;
    after(() => served.stop());
    before(async () => {
      served = await serveTiny({}, { chatTemplate: STRICT['Qwen 3.5'] });
    });
    async function post(path: string, body: object): Promise<void> {
      const answer = await fetch(served.address + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      expect(answer.status, await answer.text()).to.equal(200);
    }
    const picture = 'data:image/png;base64,iVBORw0KGgo=';
    const bad = { id: 'c', type: 'function', function: { name: 'f', arguments: '{"a": ' } };

    // anthropics/claude-code#77698, vllm-project/vllm#48874, ollama/ollama#17774
    it('are taken from Claude Code, with what its tools have read', async () => {
      const body = {
        ...{ model: 'tiny', system: [{ type: 'text', text: 'Be kind.' }] },
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
          { role: 'system', content: 'Agents: none.' },
          {
            role: 'assistant',
            content: [{ type: 'tool_use', id: 't', name: 'Read', input: { file_path: 'a.png' } }],
          },
          {
            role: 'user',
            content: [
              {
                ...{ type: 'tool_result', tool_use_id: 't' },
                content: [
                  {
                    type: 'image',
                    source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' },
                  },
                  {
                    type: 'document',
                    source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' },
                  },
                ],
              },
            ],
          },
          { role: 'system', content: 'Say little.' },
        ],
      };
      await post('/v1/messages', { ...body, max_tokens: 2 });
      await post('/v1/messages/count_tokens', body);
    });

    // vllm-project/vllm#47761, ggml-org/llama.cpp#25510
    it('are taken from Codex, with a picture that it has looked at and a call that it could not read', async () => {
      const text = (role: string, said: string) => ({
        ...{ type: 'message', role, content: [{ type: 'input_text', text: said }] },
      });
      await post('/v1/responses', {
        ...{ model: 'tiny', max_output_tokens: 2, store: false, include: ['reasoning.encrypted_content'] },
        ...{ prompt_cache_key: 'k', client_metadata: {}, reasoning: { summary: 'auto' } },
        input: [
          ...[
            text('developer', 'Be kind.'),
            text('developer', 'Skills: none.'),
            text('user', 'cwd'),
            text('user', 'Hi'),
          ],
          { type: 'function_call', call_id: 'c', name: 'view_image', arguments: '{"path":"a.png"}' },
          {
            type: 'function_call_output',
            call_id: 'c',
            output: [{ type: 'input_image', image_url: picture }],
          },
          { type: 'function_call', call_id: 'd', name: 'exec_command', arguments: '{"cmd": "ls' },
          { type: 'function_call_output', call_id: 'd', output: 'failed to parse function arguments' },
        ],
      });
    });

    it('are taken from clients of chat completions, with the same', async () => {
      await post('/v1/chat/completions', {
        ...{ model: 'tiny', max_tokens: 2 },
        messages: [
          { role: 'user', content: 'Hi' },
          { role: 'assistant', content: null, tool_calls: [bad] },
          {
            ...{ role: 'tool', tool_call_id: 'c' },
            content: [
              { type: 'text', text: 'no' },
              { type: 'image_url', image_url: { url: picture } },
            ],
          },
          { role: 'developer', content: 'Try again.' },
        ],
      });
    });
  });
});
