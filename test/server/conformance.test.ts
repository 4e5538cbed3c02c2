import { expect } from 'chai';
import { type ConformanceCase, LLAMA_CPP, NOT_OURS, VLLM } from './conformance-cases.js';
import { REPORTED } from './reported-cases.js';
import { type Listening, serveEncoders } from './served.js';

/** What is at a place of an answer: members by name, the last of a list as -1. */
function at(answer: unknown, place: string): unknown {
  if (place === '') return answer;
  return place.split('.').reduce<unknown>((found, name) => {
    if (Array.isArray(found)) return found.at(Number(name));
    return (found as Record<string, unknown> | null | undefined)?.[name];
  }, answer);
}

/** The answer as JSON; of a stream, its events but the last, which only ends it. */
async function read(answer: Response): Promise<unknown> {
  const text = await answer.text();
  if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) return JSON.parse(text);
  const data = [...text.matchAll(/^data: (.*)$/gm)].map(([, found = '']) => found);
  return data.filter((found) => found !== '[DONE]').map((found) => JSON.parse(found) as unknown);
}

describe("the server, asked as other servers' tests ask them", function () {
  this.timeout(60_000);
  let served: Listening;
  before(async () => {
    const chatTemplate =
      '{% for m in messages %}{{ m.role }}: {{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}\n{% endfor %}{# <tool_call> #}';
    served = await serveEncoders(
      { writes: { chatTemplate }, embeds: ['bert-cls'], ranks: ['bert-ranks'] },
      { apiKeys: ['secret'] },
    );
  });
  after(() => served.stop());

  async function check({
    path,
    body,
    status = 200,
    shape = {},
    key = 'secret',
  }: ConformanceCase): Promise<void> {
    const answer = await fetch(served.address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    const found = await read(answer);
    const shown = JSON.stringify(found).slice(0, 600);
    expect(answer.status, shown).to.equal(status);
    for (const [place, expected] of Object.entries(shape)) {
      const value = at(found, place);
      if (typeof expected === 'function') expect(expected(value), `${place} of ${shown}`).to.equal(true);
      else if (expected instanceof RegExp) expect(value, `${place} of ${shown}`).to.match(expected);
      else expect(value, `${place} of ${shown}`).to.deep.equal(expected);
    }
  }

  for (const [name, cases] of Object.entries({ vLLM: VLLM, 'llama.cpp': LLAMA_CPP, 'bug reports': REPORTED }))
    describe(name, () => {
      for (const one of cases) it(one.of, () => check(one));
    });

  it('does otherwise than they do only for a reason', () => {
    for (const [name, because] of Object.entries(NOT_OURS)) expect(because, name).to.match(/\w{2}/);
  });
});
