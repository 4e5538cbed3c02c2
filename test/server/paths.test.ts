import type { Socket } from 'node:net';
import { expect } from 'chai';
import { type Served, serveTiny } from './served.js';

const PAGE = 'https://chat.example.org';
const CHAT = '/v1/chat/completions';
const body = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 2 };

describe('paths of the server', function () {
  this.timeout(60_000);
  let served: Served;
  const sockets: Socket[] = [];
  before(async () => {
    const chatTemplate = '{% for m in messages %}{{ m.content }}\n{% endfor %}';
    served = await serveTiny({ apiKeys: ['key'], allowedOrigins: [PAGE] }, { chatTemplate });
    served.server.app.server.on('connection', (socket) => sockets.push(socket));
  });
  after(() => served.stop());

  const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(served.address + path, {
      method: 'POST',
      ...(init.method !== 'GET' && { body: JSON.stringify(body) }),
      ...init,
      headers: { authorization: 'Bearer key', 'content-type': 'application/json', ...init.headers },
    });
  const errorOf = async (answer: Response): Promise<string> =>
    ((await answer.json()) as { error: { message: string } }).error.message;

  // BerriAI/litellm#8350, sigoden/aichat#767
  it('may end with a slash, and have two where one would do', async () => {
    for (const path of [`${CHAT}/`, `/${CHAT}`, '/v1//chat/completions'])
      expect((await ask(path)).status, path).to.equal(200);
    expect(await (await ask('/v1/models/', { method: 'GET' })).json()).to.have.property('object', 'list');
  });

  // FerroxLabs/wayland#1178, dbeaver/dbeaver#42156
  it('are named where a request misses one, or asks by another method', async () => {
    for (const path of ['/chat/completions', '/v1/v1/chat/completions', '/v1/chat/completion']) {
      const answer = await ask(path);
      expect(answer.status, path).to.equal(404);
      expect(await errorOf(answer), path).to.include(`did you mean ${CHAT}?`);
    }
    expect(await errorOf(await ask('/v1/score'))).to.not.include('did you mean');
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const answer = await ask(`${CHAT}?a=b`, { method, ...(method !== 'PUT' && { body: null }) });
      expect([answer.status, answer.headers.get('allow')], method).to.deep.equal([405, 'POST']);
    }
    const { status, headers } = await ask('/v1/models/tiny', { method: 'DELETE' });
    expect([status, headers.get('allow')]).to.deep.equal([405, 'GET, HEAD']);
  });

  it('say what media type they take', async () => {
    const answer = await ask(CHAT, { headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    expect([answer.status, await errorOf(answer)]).to.deep.equal([
      415,
      'content-type must be application/json, found "application/x-www-form-urlencoded"',
    ]);
  });

  it('give each answer an id, which errors of Anthropic name, too', async () => {
    for (const stream of [false, true]) {
      const { headers } = await ask(CHAT, { body: JSON.stringify({ ...body, stream }) });
      expect(headers.get('x-request-id')).to.match(/^req_\w{32}$/);
    }
    const refused = await ask('/v1/messages', { headers: { authorization: 'Bearer none' } });
    expect(await refused.json()).to.have.property('request_id', refused.headers.get('request-id'));
  });

  // openvinotoolkit/model_server#3417, jwadow/kiro-gateway#6
  it('let pages of the origins that they are told ask, and of no others', async () => {
    const preflight = (origin: string): Promise<Response> =>
      fetch(served.address + CHAT, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization, content-type, x-stainless-timeout',
        },
      });
    const { status, headers } = await preflight(PAGE);
    expect([status, headers.get('access-control-allow-origin')]).to.deep.equal([204, PAGE]);
    expect(headers.get('access-control-allow-headers')).to.include('x-stainless-timeout');
    for (const stream of [false, true]) {
      const answer = await ask(CHAT, {
        body: JSON.stringify({ ...body, stream }),
        headers: { origin: PAGE },
      });
      expect(answer.headers.get('access-control-allow-origin')).to.equal(PAGE);
    }
    const stranger = await preflight('https://elsewhere.example.org');
    expect(stranger.status).to.be.oneOf([401, 405]);
    expect(stranger.headers.get('access-control-allow-origin')).to.equal(null);
    expect((await ask(CHAT, { headers: { origin: PAGE, authorization: '' } })).status).to.equal(401);
  });

  // lmstudio-ai/lmstudio-bug-tracker#945: Node.js ends connections without traffic, and an answer may take minutes.
  it('are waited at without a limit of the connection, but for a reader that takes nothing', async () => {
    const slow = { ...body, max_tokens: 200, ignore_eos: true };
    for (const stream of [false, true]) {
      const answer = ask(CHAT, { body: JSON.stringify({ ...slow, stream }) });
      while (served.llm.stats.running === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      expect(
        sockets.map(({ timeout }) => timeout),
        `stream ${stream}`,
      ).to.include(0);
      await (await answer).text();
      if (!stream) expect(sockets.map(({ timeout }) => timeout)).to.not.include(0);
    }
  });
});
