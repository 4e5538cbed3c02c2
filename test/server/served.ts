import { join } from 'node:path';
import OpenAI from 'openai';
import { EmbeddingModel } from '../../src/engine/encoding/embedding-model.js';
import { Reranker } from '../../src/engine/encoding/reranker.js';
import { LLM } from '../../src/engine/llm.js';
import type { LLMOptions } from '../../src/engine/llm-options.js';
import { createServer, type Server, type ServerOptions } from '../../src/server/app.js';
import { disposeServed, serveModel } from '../../src/server/served-model.js';
import { sentenceCase, sentenceCheckpoint } from '../engine/embedding-fixtures.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');

/** A server on a free port of loopback. */
export interface Listening {
  readonly server: Server;
  /** `http://127.0.0.1:PORT`. */
  readonly address: string;
  stop(): Promise<void>;
}

export interface Served extends Listening {
  readonly llm: LLM;
}

/** OpenAI's client of a server; it tries nothing twice. */
export const openAiOf = ({ address }: Listening, apiKey = 'none'): OpenAI =>
  new OpenAI({ baseURL: `${address}/v1`, apiKey, maxRetries: 0 });

async function listen(options: ServerOptions): Promise<Listening> {
  const server = createServer(options);
  const address = await server.app.listen({ port: 0, host: '127.0.0.1' });
  return {
    server,
    address,
    async stop() {
      await server.close(1000);
      for (const model of options.models) await disposeServed(model);
    },
  };
}

const loadTiny = (options: LLMOptions = {}, modelPath = TINY_STORIES): Promise<LLM> =>
  LLM.load(modelPath, { threads: 2, blockSize: 32, maxNumSeqs: 8, maxModelLen: 256, ...options });

/** The bundled model, or another one, behind a server. */
export async function serveTiny(
  options: Omit<ServerOptions, 'models'> = {},
  llmOptions: LLMOptions = {},
  modelPath = TINY_STORIES,
): Promise<Served> {
  const llm = await loadTiny(llmOptions, modelPath);
  return { llm, ...(await listen({ models: [serveModel('tiny', llm)], ...options })) };
}

/** Checkpoints that sentence-transformers has embedded with, or ranked with, by the names of their cases. */
export async function serveEncoders(
  { embeds = [], ranks = [], writes }: Readonly<{ embeds?: string[]; ranks?: string[]; writes?: LLMOptions }>,
  options: Omit<ServerOptions, 'models'> = {},
): Promise<Listening> {
  const load = async (name: string, Model: typeof EmbeddingModel | typeof Reranker) => {
    const checkpoint = sentenceCheckpoint(sentenceCase(name));
    try {
      return serveModel(name, await Model.load(checkpoint.path, { threads: 2 }));
    } finally {
      checkpoint.remove();
    }
  };
  return listen({
    models: [
      ...(writes ? [serveModel('tiny', await loadTiny(writes))] : []),
      ...(await Promise.all(embeds.map((name) => load(name, EmbeddingModel)))),
      ...(await Promise.all(ranks.map((name) => load(name, Reranker)))),
    ],
    ...options,
  });
}
