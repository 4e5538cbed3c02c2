/** What `atb-models/hub` gives: models by name. The main entry leaves it out, because few programs fetch models. */
export { type CachedModel, listCached, modelFolder, removeCached } from './cache.js';
export type { HubOptions } from './hub-options.js';
export { type Pulled, type PullOptions, pullModel } from './pull.js';
