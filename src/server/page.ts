import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';

/** One file as it is written: there is nothing to build. */
const FILE = new URL('../../../src/server/page.html', import.meta.url);

/**
 * What is at `/`: the page to chat, or a line of JSON without it. Coding agents ask for it, too, by HEAD or GET, to see
 * whether the server lives; so it is open to those without a key, and says nothing about the models.
 */
export function addPage(app: FastifyInstance, hasPage: boolean): void {
  if (!hasPage) {
    app.get('/', async () => ({ status: 'alive' }));
    return;
  }
  const html = readFileSync(FILE, 'utf8');
  const headers = {
    'content-security-policy': policyOf(html),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  };
  app.get('/', async (_, reply) => reply.headers(headers).type('text/html; charset=utf-8').send(html));
}

/** Lets the page run its own script and style, and ask this server; nothing else. */
function policyOf(html: string): string {
  const [script, style] = ['script', 'style'].map((tag) => {
    const [, text = ''] = new RegExp(`<${tag}>(.*?)</${tag}>`, 's').exec(html) ?? [];
    return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  });
  return [
    "default-src 'none'",
    `script-src ${script}`,
    `style-src ${style}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
