import { join } from 'node:path';
import { LLM } from '../../src/engine/llm.js';
import type { LLMOptions } from '../../src/engine/llm-options.js';
import { createServer, type Server, type ServerOptions } from '../../src/server/app.js';
import { serveModel } from '../../src/server/served-model.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');

export interface Served {
  readonly llm: LLM;
  readonly server: Server;
  /** `http://127.0.0.1:PORT`. */
  readonly address: string;
  stop(): Promise<void>;
}

/** The bundled model behind a server on a free port of loopback. */
export async function serveTiny(
  options: Omit<ServerOptions, 'models'> = {},
  llmOptions: LLMOptions = {},
): Promise<Served> {
  const llm = await LLM.load(TINY_STORIES, {
    threads: 2,
    blockSize: 32,
    maxNumSeqs: 8,
    maxModelLen: 256,
    ...llmOptions,
  });
  const server = createServer({ models: [serveModel('tiny', llm)], ...options });
  const address = await server.app.listen({ port: 0, host: '127.0.0.1' });
  return {
    llm,
    server,
    address,
    async stop() {
      await server.close(1000);
      await llm.dispose();
    },
  };
}
