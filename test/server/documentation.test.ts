import { expect } from 'chai';
import { type Served, serveTiny } from './served.js';

describe('the documentation of the API', () => {
  let served: Served;
  before(async () => {
    served = await serveTiny({ apiKeys: ['secret'] });
  });
  after(() => served.stop());

  it('describes bodies by the schemas that they are read by, only at paths that there are', async () => {
    const { paths } = (await (await fetch(`${served.address}/openapi.json`)).json()) as {
      paths: Record<string, { post?: { requestBody: { content: Record<string, { schema: object }> } } }>;
    };
    for (const [path, { post }] of Object.entries(paths))
      expect(served.server.app.hasRoute({ method: post ? 'POST' : 'GET', url: path }), path).to.equal(true);
    const schemaOf = (path: string): object =>
      paths[path]?.post?.requestBody.content['application/json']?.schema ?? {};
    expect(schemaOf('/v1/chat/completions')).to.have.property('required').that.deep.equals(['messages']);
    for (const [path, field] of [
      ['/v1/chat/completions', 'temperature'],
      ['/v1/completions', 'prompt'],
      ['/v1/responses', 'input'],
      ['/v1/embeddings', 'encoding_format'],
      ['/v1/rerank', 'top_n'],
      ['/v1/messages', 'max_tokens'],
      ['/detokenize', 'tokens'],
    ] as const)
      expect(schemaOf(path), path).to.have.nested.property(`properties.${field}`);
  });

  it('is a page that needs no key, while what it describes does', async () => {
    const page = await fetch(`${served.address}/docs`);
    expect(page.status).to.equal(200);
    expect(await page.text()).to.include('swagger-ui');
    expect(page.headers.get('content-security-policy')).to.include("default-src 'self'");
    expect((await fetch(`${served.address}/docs/json`)).status).to.equal(200);
    const none = await fetch(`${served.address}/docs/static/none.js`);
    expect([none.status, await none.text()].join(' ')).to.match(
      /^404 \{"error":\{"message":"there is no GET/,
    );
    for (const path of [
      '/v1/models',
      '/metrics',
      '/docs/../v1/models',
      '//docs/..//v1/models',
      '/v1//models/',
    ])
      expect((await fetch(served.address + path)).status, path).to.equal(401);
  });
});
