import { EmbeddingModel } from '../engine/encoding/embedding-model.js';
import { modelUse } from '../engine/encoding/model-use.js';
import type { EncoderOptions } from '../engine/encoding/open-encoder.js';
import { Reranker } from '../engine/encoding/reranker.js';
import type { LLMOptions } from '../engine/llm-options.js';
import { refuseRequest } from '../errors.js';
import type { ModelUse } from '../router/index.js';
import { disposeServed, type Served, serveModel } from '../server/served-model.js';
import { environmentOptions } from './environment.js';
import { loadLlm, loadObservers } from './llm-command.js';
import { withModelFolder } from './model-folder.js';

const USES: readonly string[] = ['generate', 'embed', 'rank'] satisfies readonly ModelUse[];

/** A model to be loaded: its folder, and what it is for, where its files do not say. */
interface Wanted {
  readonly folder: string;
  readonly use?: ModelUse;
}

/**
 * Models by the names that requests call them by.
 * @throws REQUEST_INVALID for what is malformed, twice, or about a model that there is not
 */
export function wantedModels(
  path: string | undefined,
  given: readonly string[] = [],
  uses: readonly string[] = [],
): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  const add = (name: string, folder: string): void => {
    if (name === '' || folder === '') refuseRequest('--model', 'name=DIR', `${name}=${folder}`);
    if (wanted.has(name)) refuseRequest('--model', 'names that differ', name);
    wanted.set(name, { folder });
  };
  // As it was given: clients name org/model, too.
  if (path !== undefined) add(path, path);
  for (const text of given) {
    const at = text.indexOf('=');
    add(text.slice(0, Math.max(0, at)), text.slice(at + 1));
  }
  const [first] = wanted.keys();
  if (first === undefined) return refuseRequest('--model_path', 'given: what is served', undefined);
  for (const text of uses) {
    const at = text.lastIndexOf('=');
    const [name, use] = [at < 0 ? first : text.slice(0, at), text.slice(at + 1)];
    const model = wanted.get(name);
    if (model === undefined || !USES.includes(use))
      return refuseRequest('--use', `[name=]${USES.join('|')}, of a model that is served`, text);
    wanted.set(name, { ...model, use: use as ModelUse });
  }
  return wanted;
}

/**
 * Loads them one after the other, or none. Of `options` each takes what is about models of its use; adapters are the first's.
 */
export async function loadServed(
  wanted: ReadonlyMap<string, Wanted>,
  options: LLMOptions,
): Promise<Served[]> {
  const served: Served[] = [];
  try {
    const { loraModules, ...ofAll } = options;
    for (const [name, model] of wanted) {
      const own = served.length === 0 ? options : ofAll;
      served.push(serveModel(name, await loadOne(model, own)));
    }
    const [first] = served;
    if (loraModules && first?.use !== 'generate')
      refuseRequest('--lora_modules', 'absent: the first model writes no text', loraModules);
    return served;
  } catch (error) {
    for (const model of served) await disposeServed(model);
    throw error;
  }
}

async function loadOne(
  { folder, use }: Wanted,
  options: LLMOptions,
): Promise<Parameters<typeof serveModel>[1]> {
  const { modelPath } = await withModelFolder({ modelPath: folder });
  const encoder: EncoderOptions = { ...encoderOptions(options), ...environmentOptions() };
  const isFor = use ?? (await modelUse({ ...encoder, modelPath }));
  if (isFor === 'generate') return loadLlm({ ...options, modelPath });
  const observed = { ...encoder, ...loadObservers() };
  return (isFor === 'embed' ? EmbeddingModel : Reranker).load(modelPath, observed);
}

/** What of them is about loading: sizes of batches and caches are of no effect for a model that answers nothing. */
function encoderOptions(options: LLMOptions): EncoderOptions {
  const {
    kvQuant: _kv,
    maxNumSeqs: _seqs,
    maxModelLen: _length,
    memoryBudget: _memory,
    draftTokens: _drafts,
    policy: _policy,
    loraModules: _adapters,
    ...rest
  } = options;
  return rest;
}
