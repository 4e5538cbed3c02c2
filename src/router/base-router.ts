import type { GraphSpec } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { BaseConfig, ConfigDict } from '../layers/config/index.js';
import type { KvCacheDesc } from '../native/binding.js';
import type { StepInput } from '../step-inputs/index.js';
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
 * Parts of a model that floors above add: each augments this interface with a property and calls `registerRouterPart`.
 * A router may override one with a method of the same name in its `parts()`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface RouterParts {}

type PartMakers = { [K in keyof RouterParts]?: (router: BaseRouter) => RouterParts[K] };
const defaultParts: PartMakers = {};

/** Says how a part is made for models whose router does not say otherwise. */
export function registerRouterPart<K extends keyof RouterParts>(
  name: K,
  make: (router: BaseRouter) => RouterParts[K],
): void {
  defaultParts[name] = make as PartMakers[K];
}

/** Everything about a model that is decided before its weights are read. Each property is made once, when first asked for. */
export abstract class BaseRouter {
  #config: BaseConfig | undefined;
  readonly #made = new Map<keyof RouterParts, unknown>();

  constructor(
    readonly modelPath: string,
    /** config.json as it is. */
    readonly configDict: ConfigDict,
  ) {}

  /** Reads `configDict`. Throws CONFIG_INVALID. */
  protected abstract getConfig(): BaseConfig;
  protected abstract getModelClass(): CausalLMClass;

  /** Parts that this family makes in its own way. */
  protected parts(): PartMakers {
    return {};
  }

  get config(): BaseConfig {
    this.#config ??= this.getConfig();
    return this.#config;
  }

  get modelClass(): CausalLMClass {
    return this.getModelClass();
  }

  createModel(weights: Weights): CausalLM {
    return new this.modelClass(this.config, weights);
  }

  /** The tokenizer, the input builder, …: whatever the floors above have added under this name. */
  part<K extends keyof RouterParts>(name: K): RouterParts[K] {
    if (!this.#made.has(name)) {
      const make = this.parts()[name] ?? defaultParts[name];
      if (make === undefined) throw new TypeError(`nothing makes the router part "${String(name)}"`);
      this.#made.set(name, make(this));
    }
    return this.#made.get(name) as RouterParts[K];
  }
}

export type RouterClass = new (modelPath: string, configDict: ConfigDict) => BaseRouter;
