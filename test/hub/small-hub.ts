import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const COMMIT = 'c'.repeat(40);

/** A hub on loopback with one model: the answers of huggingface.co to the questions that a download asks. */
export class SmallHub {
  /** Contents by path. */
  readonly files = new Map<string, Buffer>();
  readonly commit = COMMIT;
  /** What was asked for: `GET /path range`. */
  readonly asked: string[] = [];
  /** The only token that is let in; undefined: everybody is. */
  token: string | undefined;
  /** Bytes of a content after which the connection breaks, for as many answers as `breaks` says. */
  breakAfter = Number.POSITIVE_INFINITY;
  breaks = 0;
  /** A path whose content arrives with a byte changed. */
  damaged: string | undefined;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', 'http://hub');
    this.asked.push(`${request.method} ${pathname} ${request.headers.range ?? ''}`.trim());
    const [, api, revision] = /^\/api\/models\/org\/model\/(revision|tree)\/([^/]+)$/.exec(pathname) ?? [];
    const [, path = ''] = /^\/org\/model\/resolve\/[^/]+\/(.+)$/.exec(pathname) ?? [];
    const content = this.files.get(decodeURIComponent(path));
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`)
      this.#json(response, { error: 'Access to this model is restricted' }, 401);
    else if (revision !== undefined && !['main', 'v1', COMMIT].includes(revision))
      this.#json(response, { error: 'Invalid rev id' }, 404);
    else if (api === 'revision') this.#json(response, { id: 'org/model', sha: COMMIT });
    else if (api === 'tree') this.#json(response, [...this.files].map(entryOf));
    else if (content === undefined) this.#json(response, { error: 'not found' }, 404);
    else this.#content(request, response, path, content);
  }

  #content(request: IncomingMessage, response: ServerResponse, path: string, content: Buffer): void {
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const end = to === '' ? content.length : Math.min(Number(to) + 1, content.length);
    const part = Buffer.from(content.subarray(Number(from), end));
    if (this.damaged === path && part.length > 1) part[0] = (part[0] ?? 0) ^ 1;
    response.writeHead(206, {
      'content-range': `bytes ${from}-${end - 1}/${content.length}`,
      'content-length': part.length,
      etag: `"${entryOf([path, content]).oid}"`,
    });
    if (part.length > 1 && this.breaks > 0 && part.length > this.breakAfter) {
      this.breaks--;
      response.write(part.subarray(0, this.breakAfter), () => response.destroy());
      return;
    }
    response.end(part);
  }

  #json(response: ServerResponse, value: unknown, status = 200): void {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  }
}

/** Large files have the SHA-256 of their content, as Git LFS does; others Git's own hash. */
function entryOf([path, content]: readonly [string, Buffer]): {
  type: string;
  path: string;
  size: number;
  oid: string;
  lfs?: object;
} {
  const { length: size } = content;
  const oid = createHash('sha1').update(`blob ${size}\0`).update(content).digest('hex');
  const sha256 = createHash('sha256').update(content).digest('hex');
  const lfs = path.endsWith('.safetensors') ? { lfs: { oid: sha256, size, pointerSize: 130 } } : {};
  return { type: 'file', path, size, oid, ...lfs };
}
