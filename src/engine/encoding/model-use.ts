import { PREFILL } from '../../graph/graph-kind.js';
import { isClassifier } from '../../layers/config/index.js';
import { getModel } from '../../models/get-model.js';
import type { ModelUse } from '../../router/index.js';
import { type OpenModelOptions, openModel } from '../../runner/open-model.js';
import { readModelJson } from '../../tokenizer/model-files.js';

/**
 * What a checkpoint's files say that it is for: classifiers rank; what has sentence-transformers' modules.json, and
 * encoders, embed; everything else generates. Qwen3-Reranker says nothing: its files are those of a model that generates.
 * @throws ROUTER_*, CONFIG_*, WEIGHT_*, REQUEST_INVALID, TOKENIZER_INVALID for a modules.json that is not JSON
 */
export async function modelUse(options: OpenModelOptions): Promise<ModelUse> {
  const router = await getModel(options.modelPath, options);
  if (isClassifier(router.configDict)) return 'rank';
  if ((await readModelJson(router.modelPath, 'modules.json', router.links)) !== undefined) return 'embed';
  // Heads that an encoder was trained with are of no account.
  const { model } = await openModel({ ...options, allowUnread: true });
  return model.graphKinds.includes(PREFILL) ? 'generate' : 'embed';
}
