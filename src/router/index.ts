export { familyOf, MODEL_TYPE_ALIASES } from './aliases.js';
export {
  BaseRouter,
  type CausalLM,
  type CausalLMClass,
  type ChatFormat,
  type EncoderUse,
  type HeadNames,
  headNamesUnder,
  LLAMA_HEAD,
  type ModelUse,
  type Router,
  type RouterClass,
  type ShownCaches,
} from './base-router.js';
export { readConfigDict, withAdapter } from './config-file.js';
export { discoverModel, discoverModels } from './discover.js';
export { type KnownModel, knownModels } from './known-models.js';
export { MODEL_KINDS, type ModelAbout, type ModelKind } from './model-about.js';
export {
  getRouter,
  isKnownModelType,
  knownModelTypes,
  RegisterRouter,
  registerModel,
  withModelType,
} from './registry.js';
export { type RouterOptions, routerOf } from './router-of.js';
