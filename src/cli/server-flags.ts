import { atLeast, boolean, number, text } from './flag-rows.js';

/** Flags of `serve`. */
export const SERVER = {
  model: text('models', 'or several: name=DIR, each once', { array: true }),
  use: text('uses', 'purpose, where files do not say: [name=]generate, embed or rank', {
    array: true,
  }),
  host: text('host', 'to listen at; others than loopback need --api_key', { default: '127.0.0.1' }),
  port: number('port', 'to listen at', { default: 8000 }),
  api_key: text('apiKeys', 'keys that let clients in; ATB_API_KEY when absent', { array: true }),
  allow_origin: text('allowedOrigins', 'pages that may ask in a browser, as https://a.example, or *', {
    array: true,
  }),
  max_num_seqs: number('maxNumSeqs', 'answers at once (8)', { read: atLeast(1) }),
  max_waiting: number('maxWaiting', 'answers that wait beside them (as many)', { read: atLeast(0) }),
  policy: text('policy', 'who goes first (fcfs)', { choices: ['fcfs', 'priority', 'sjf', 'round_robin'] }),
  allowed_local_media_path: text('allowedLocalMediaPath', 'folder whose files dialogues may name'),
  request_timeout: number('requestTimeoutS', 'seconds that a request may take (600)', { read: atLeast(1) }),
  drain_timeout: number('drainTimeoutS', 'seconds for answers that run when it stops', { default: 45 }),
  log_level: text('logLevel', 'without prompts', {
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'silent'],
    default: 'info',
  }),
  page: boolean('hasPage', 'or --no-page: the page to chat at /', { default: true }),
};
