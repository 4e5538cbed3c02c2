import type { BaseConfig, ConfigDict } from '../layers/config/index.js';
import { BaseRouter, type CausalLMClass } from './base-router.js';

/**
 * The router of a family that has nothing but a configuration and a model class of its own:
 * `registerModel('olmo2', routerOf(OLMO2_CONFIG, FlashOlmo2ForCausalLMATB))`.
 */
export function routerOf<C extends BaseConfig>(
  definition: { read(dict: ConfigDict): C },
  model: CausalLMClass<C>,
): { new (...args: ConstructorParameters<typeof BaseRouter>): BaseRouter<C> } {
  return class extends BaseRouter<C> {
    protected getConfig(): C {
      return definition.read(this.configDict);
    }

    protected getModelClass(): CausalLMClass<C> {
      return model;
    }
  };
}
