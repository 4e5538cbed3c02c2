import { statSync } from 'node:fs';
import { parseBytes } from '../bytes.js';
import { refuseRequest } from '../errors.js';
import { atLeast, boolean, number, text, within } from './flag-rows.js';

/** Browsers send scheme, host and port, and nothing behind them: another text would match no page. */
function readOrigins(origins: readonly string[], name: string): readonly string[] {
  for (const origin of origins)
    if (origin !== '*' && (!URL.canParse(origin) || new URL(origin).origin !== origin))
      refuseRequest(`--${name}`, '* or an origin, as https://a.example or http://localhost:3000', origin);
  return origins;
}

function existingFolder(path: string, name: string): string {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory();
  return isFolder ? path : refuseRequest(`--${name}`, 'an existing folder', path);
}

/** Longer times than timers of Node.js can wait. */
const MOST_SECONDS = 2_000_000;

/** Flags of `serve`. */
export const SERVER = {
  model: text('models', 'or several: name=DIR, each once', { array: true }),
  use: text('uses', 'purpose, where files do not say: [name=]generate, embed or rank', {
    array: true,
  }),
  host: text('host', 'to listen at; others than loopback need --api_key', { default: '127.0.0.1' }),
  port: number('port', 'to listen at; 0: one that is free', { default: 8000, read: within(0, 65_535) }),
  api_key: text('apiKeys', 'keys that let clients in; ATB_API_KEY when absent', { array: true }),
  allow_origin: text('allowedOrigins', 'pages that may ask in a browser, as https://a.example, or *', {
    array: true,
    read: readOrigins,
  }),
  max_num_seqs: number('maxNumSeqs', 'answers at once (8)', { read: atLeast(1) }),
  max_waiting: number('maxWaiting', 'answers that wait beside them (as many)', { read: atLeast(0) }),
  policy: text('policy', 'who goes first (fcfs)', { choices: ['fcfs', 'priority', 'sjf', 'round_robin'] }),
  allowed_local_media_path: text('allowedLocalMediaPath', 'folder whose files dialogues may name', {
    read: existingFolder,
  }),
  max_body: text('maxBodyBytes', 'bytes of a request, pictures among them (4MiB)', {
    read: (value: string, name: string) => parseBytes(`--${name}`, value),
  }),
  request_timeout: number('requestTimeoutS', 'seconds that a request may take (600)', {
    read: within(1, MOST_SECONDS),
  }),
  drain_timeout: number('drainTimeoutS', 'seconds for answers that run when it stops', {
    default: 45,
    read: within(0, MOST_SECONDS),
  }),
  log_level: text('logLevel', 'without prompts', {
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'silent'],
    default: 'info',
  }),
  page: boolean('hasPage', 'or --no-page: the page to chat at /', { default: true }),
};
