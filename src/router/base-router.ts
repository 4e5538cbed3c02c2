import type { GraphSpec } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { BaseConfig, ConfigDict } from '../layers/config/index.js';
import type { KvCacheDesc } from '../native/binding.js';
import { type GenerationConfig, parseGenerationConfig } from '../sampling/generation-config.js';
import type { StepInput } from '../step-inputs/index.js';
import { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import { InputBuilder, type InputBuilderOptions } from '../tokenizer/input-builder.js';
import { readModelJson } from '../tokenizer/model-files.js';
import { Postprocessor } from '../tokenizer/postprocessor.js';
import type { TensorRef, Weights } from '../weights/weights.js';

/** What a runner needs of a model, and all that it may know. */
export interface CausalLM {
  readonly name: string;
  readonly config: BaseConfig;
  /** The graphs that it has. */
  readonly graphKinds: readonly GraphKind[];
  /** What a step may bring; each graph reads some of these. */
  readonly stepInputs: readonly StepInput[];
  getWeights(): TensorRef[];
  /** The KV caches of all layers; none for models that keep nothing. */
  caches(): KvCacheDesc[];
  buildGraph(kind: GraphKind): GraphSpec;
}

export type CausalLMClass = new (config: BaseConfig, weights: Weights) => CausalLM;

/**
 * Everything about a model that is decided before its weights are read: its configuration, its class, and what turns text
 * into its tokens and back. A family overrides what it does in its own way.
 */
export abstract class BaseRouter {
  #config: BaseConfig | undefined;

  constructor(
    readonly modelPath: string,
    /** config.json as it is. */
    readonly configDict: ConfigDict,
  ) {}

  /** Reads `configDict`. Throws CONFIG_INVALID. */
  protected abstract getConfig(): BaseConfig;
  protected abstract getModelClass(): CausalLMClass;

  get config(): BaseConfig {
    this.#config ??= this.getConfig();
    return this.#config;
  }

  get modelClass(): CausalLMClass {
    return this.getModelClass();
  }

  /** `config`: as the model runs, where that differs from config.json. */
  createModel(weights: Weights, config: BaseConfig = this.config): CausalLM {
    return new this.modelClass(config, weights);
  }

  /**
   * What generation_config.json says, with the end tokens of config.json beside its own.
   * @throws CONFIG_INVALID, and TOKENIZER_INVALID for a file that is not JSON
   */
  async getGenerationConfig(): Promise<GenerationConfig> {
    const file = 'generation_config.json';
    const found = await readModelJson(this.modelPath, file);
    const generation = parseGenerationConfig(found === undefined ? {} : found, file);
    const eosTokenIds = [...new Set([...generation.eosTokenIds, ...this.config.eosTokenIds])];
    return { ...generation, eosTokenIds };
  }

  /** @throws TOKENIZER_* */
  getTokenizer({ eosTokenIds }: GenerationConfig): Promise<HfTokenizer> {
    return HfTokenizer.load(this.modelPath, { eosTokenIds });
  }

  /** @throws TEMPLATE_* */
  getInputBuilder(tokenizer: HfTokenizer, options: InputBuilderOptions): Promise<InputBuilder> {
    return InputBuilder.load(this.modelPath, tokenizer, options);
  }

  /** Without a tokenizer it follows token ids alone. */
  getPostprocessor(tokenizer: HfTokenizer | undefined, { eosTokenIds }: GenerationConfig): Postprocessor {
    return new Postprocessor(tokenizer, tokenizer?.eosTokenIds ?? eosTokenIds);
  }
}

export type RouterClass = new (modelPath: string, configDict: ConfigDict) => BaseRouter;
