import type { CommandModule } from 'yargs';
import type { LLMOptions } from '../engine/llm-options.js';
import { AtbError, refuseRequest } from '../errors.js';
import { createServer, type Server } from '../server/app.js';
import { type ServedModel, serveModel } from '../server/served-model.js';
import { declareFlags, optionsOf } from './command-line.js';
import { apiKeyOfEnvironment } from './environment.js';
import { loadLlm } from './llm-command.js';
import { isLoopback } from './loopback.js';

const LOAD_FLAGS = [
  ...([
    'model_dirs',
    'dtype',
    'quantize',
    'quant_group_size',
    'kv_quant',
    'allow_links',
    'allow_unread',
  ] as const),
  ...(['max_num_seqs', 'max_model_len', 'memory', 'draft_tokens', 'policy', 'threads', 'isa'] as const),
] as const;
const SERVER_FLAGS = [
  ...(['model', 'host', 'port', 'api_key', 'max_waiting', 'request_timeout', 'drain_timeout'] as const),
  ...(['log_level', 'page'] as const),
] as const;

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** `atb-models serve`: OpenAI's and Anthropic's APIs for one model or several. */
export const serveCommand: CommandModule<object, { readonly model_path: string | undefined }> = {
  command: 'serve',
  describe: "serve models by OpenAI's and Anthropic's APIs",
  builder: (argv) =>
    declareFlags(
      argv.option('model_path', {
        type: 'string',
        group: 'Model:',
        describe: 'directory of a checkpoint, or org/name in the cache',
      }),
      {
        command: 'atb-models serve',
        example: '--model_path DIR --port 8000',
        flags: [...LOAD_FLAGS, ...SERVER_FLAGS],
        alsoKnown: ['model_path'],
      },
    ),
  async handler(argv) {
    const { models, host, port, apiKeys, requestTimeoutS, drainTimeoutS, ...options } = optionsOf(
      argv,
      SERVER_FLAGS,
    );
    const keys = apiKeys ?? apiKeyOfEnvironment();
    checkAddress(host, keys);
    const served = await loadModels(foldersOf(argv.model_path, models), optionsOf(argv, LOAD_FLAGS));
    const server = createServer({
      ...options,
      models: served,
      apiKeys: keys,
      ...(requestTimeoutS !== undefined && { requestTimeoutMs: 1000 * requestTimeoutS }),
    });
    try {
      const address = await server.app.listen({ host, port });
      process.stderr.write(`${served.map(({ name }) => name).join(', ')} at ${address}\n`);
      await stopped(server, 1000 * drainTimeoutS);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AtbError('SERVER_FAILED', { address: `${host}:${port}`, reason }, { cause });
    } finally {
      for (const { llm } of served) await llm.dispose();
    }
  },
};

/** Whoever can reach another address than loopback could use the models, or fill the machine's memory. */
function checkAddress(host: string, keys: readonly string[]): void {
  if (!isLoopback(host) && keys.length === 0)
    refuseRequest('--api_key', `given, because ${host} can be reached from other machines`, undefined);
}

/** Folders by the names that requests call them by. */
function foldersOf(path: string | undefined, given: readonly string[] = []): Map<string, string> {
  const folders = new Map<string, string>();
  const add = (name: string, folder: string): void => {
    if (name === '' || folder === '') refuseRequest('--model', 'name=DIR', `${name}=${folder}`);
    if (folders.has(name)) refuseRequest('--model', 'names that differ', name);
    folders.set(name, folder);
  };
  // As it was given: clients name org/model, too.
  if (path !== undefined) add(path, path);
  for (const text of given) {
    const at = text.indexOf('=');
    add(text.slice(0, Math.max(0, at)), text.slice(at + 1));
  }
  if (folders.size === 0) refuseRequest('--model_path', 'given: what is served', undefined);
  return folders;
}

async function loadModels(folders: ReadonlyMap<string, string>, options: LLMOptions): Promise<ServedModel[]> {
  const served: ServedModel[] = [];
  try {
    for (const [name, folder] of folders) {
      served.push(serveModel(name, await loadLlm({ ...options, modelPath: folder })));
    }
    return served;
  } catch (error) {
    for (const { llm } of served) await llm.dispose();
    throw error;
  }
}

/** Waits for a signal, then for the answers that run. A second signal ends it at once. */
async function stopped(server: Server, drainMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of SIGNALS) process.once(signal, () => resolve());
  });
  for (const signal of SIGNALS) process.once(signal, () => process.exit(1));
  await server.close(drainMs);
}
