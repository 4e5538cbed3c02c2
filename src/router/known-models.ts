import { MODEL_TYPE_ALIASES } from './aliases.js';
import type { RouterClass } from './base-router.js';
import { type ModelAbout, NOTHING_SAID } from './model-about.js';
import { getRouter, knownModelTypes } from './registry.js';

/** A family as tables of them show it. */
export interface KnownModel extends ModelAbout {
  readonly modelType: string;
  /** Other values of `model_type` that mean it. */
  readonly aliases: readonly string[];
  readonly modelClass: string;
}

/** Every family that is registered by now, in order of name. A router that is registered twice has another name, too. */
export function knownModels(): KnownModel[] {
  const names = new Map<RouterClass, string[]>();
  for (const modelType of knownModelTypes()) {
    const Router = getRouter(modelType);
    names.set(Router, [...(names.get(Router) ?? []), modelType]);
  }
  return [...names].map(([Router, [modelType = '', ...others]]) => {
    const router = new Router('', { model_type: modelType });
    // A family that is made of another one inherits how it works, not what was seen of it.
    const about = Object.hasOwn(Router.prototype, 'about') ? router.about : NOTHING_SAID;
    const aliases = [...MODEL_TYPE_ALIASES].flatMap(([alias, of]) => (of === modelType ? [alias] : []));
    return { modelType, aliases: [...others, ...aliases], modelClass: router.modelClass.name, ...about };
  });
}
