import { constants } from 'node:os';
import { AtbError, refuseRequest } from '../errors.js';
import { createServer, type Server } from '../server/app.js';
import { disposeServed } from '../server/served-model.js';
import type { Command } from './command.js';
import { type CommandShape, declareFlags, optionsOf } from './command-line.js';
import { apiKeyOfEnvironment } from './environment.js';
import { isLoopback } from './loopback.js';
import { loadServed, wantedModels } from './served-models.js';

const LOAD_FLAGS = [
  ...([
    'model_dirs',
    'lora_modules',
    'dtype',
    'quantize',
    'quantize_head',
    'quant_group_size',
    'kv_quant',
    'allow_links',
    'allow_unread',
    'allowed_local_media_path',
  ] as const),
  ...(['max_num_seqs', 'max_model_len', 'memory', 'draft_model_path', 'draft_tokens'] as const),
  ...(['policy', 'threads', 'isa', 'weights_cache'] as const),
] as const;
const SERVER_FLAGS = [
  ...([
    'model',
    'use',
    'host',
    'port',
    'api_key',
    'allow_origin',
    'max_waiting',
    'max_body',
    'request_timeout',
    'drain_timeout',
  ] as const),
  ...(['log_level', 'page'] as const),
] as const;

const SHAPE: CommandShape = {
  command: 'atb-models serve',
  example: '--model_path DIR --port 8000',
  flags: [...LOAD_FLAGS, ...SERVER_FLAGS],
  alsoKnown: ['model_path'],
};

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What to do where the system refuses to listen. */
const LISTENING: Readonly<Record<string, string>> = {
  EADDRINUSE: '; another program listens there: end it, or choose another --port',
  EACCES: '; ports below 1024 are for administrators: choose another --port',
  EADDRNOTAVAIL: '; --host must be an address of this machine',
  ENOTFOUND: '; --host must be an address of this machine',
};

/** `atb-models serve`: OpenAI's and Anthropic's APIs for one model or several. */
export const serveCommand: Command<{ readonly model_path: string | undefined }> = {
  longHelp: SHAPE,
  builder: (argv) =>
    declareFlags(
      argv.option('model_path', {
        type: 'string',
        group: 'Model:',
        describe: 'directory of a checkpoint, or org/name in the cache',
      }),
      SHAPE,
    ),
  async handler(argv) {
    const { models, uses, host, port, apiKeys, requestTimeoutS, drainTimeoutS, ...options } = optionsOf(
      argv,
      SERVER_FLAGS,
    );
    const keys = apiKeys ?? apiKeyOfEnvironment();
    checkAccess(host, keys);
    const served = await loadServed(wantedModels(argv.model_path, models, uses), optionsOf(argv, LOAD_FLAGS));
    const server = createServer({
      ...options,
      models: served,
      apiKeys: keys,
      ...(requestTimeoutS !== undefined && { requestTimeoutMs: 1000 * requestTimeoutS }),
    });
    // A log that nobody reads any more is no reason to stop.
    process.stderr.removeAllListeners('error').on('error', () => {});
    try {
      const address = await server.app.listen({ host, port });
      process.stderr.write(`${served.map(({ name }) => name).join(', ')} at ${address}\n`);
      await stopped(server, 1000 * drainTimeoutS);
    } catch (cause) {
      const { code = '', message = String(cause) } = cause as NodeJS.ErrnoException;
      const reason = `${message}${LISTENING[code] ?? ''}`;
      throw new AtbError('SERVER_FAILED', { address: `${host}:${port}`, reason }, { cause });
    } finally {
      for (const model of served) await disposeServed(model);
    }
  },
};

/**
 * Whoever can reach another address than loopback could use the models, or fill the machine's memory. A key that no header
 * can hold would let nobody in.
 */
function checkAccess(host: string, keys: readonly string[]): void {
  // What is found is not said: a message may be kept.
  if (!keys.every((key) => /^[!-~]+$/.test(key)))
    refuseRequest('--api_key', 'letters, digits and marks of ASCII, without spaces', 'another character');
  if (!isLoopback(host) && keys.length === 0)
    refuseRequest('--api_key', `given, because ${host} can be reached from other machines`, undefined);
}

/** Waits for a signal, then for the answers that run. A second one, of either kind, ends the process with a shell's status. */
async function stopped(server: Server, drainMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = (): void => {
      for (const signal of SIGNALS) process.off(signal, stop);
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, stop);
  });
  // Not by the signal itself, which the first process of a container does not die of.
  for (const signal of SIGNALS) process.once(signal, () => process.exit(128 + constants.signals[signal]));
  await server.close(drainMs);
}
