import { AtbError } from '../errors.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { isObject } from '../is-object.js';
import { requireMember } from '../layers/complete.js';
import { type BaseConfig, type ConfigDict, ConfigReader, labelsOf } from '../layers/config/index.js';
import type { EncodeWords, MediaProcessor } from '../media/index.js';
import type { KvCacheDesc, StateDesc } from '../native/binding.js';
import { type ArgumentKind, OBJECT, requireArgument, TEXT } from '../require-argument.js';
import { type GenerationConfig, parseGenerationConfig } from '../sampling/generation-config.js';
import type { StepInput } from '../step-inputs/index.js';
import { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import { InputBuilder, type InputBuilderOptions } from '../tokenizer/input-builder.js';
import { readModelJson } from '../tokenizer/model-files.js';
import { Postprocessor } from '../tokenizer/postprocessor.js';
import type { HfTokenizerOptions } from '../tokenizer/tokenizer-options.js';
import type { LinkOptions } from '../weights/regular-file.js';
import type { TensorRef, Weights } from '../weights/weights.js';
import { type ModelAbout, NOTHING_SAID } from './model-about.js';

/** What a reader of whole texts is asked for: a vector of each text, or a score of each pair of texts. */
export type EncoderUse = 'embed' | 'rank';

/** What a model is run for. */
export type ModelUse = 'generate' | EncoderUse;

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
  /** The recurrent states of all layers; none when absent. */
  states?(): StateDesc[];
  /** The caches of what encoders gave, to which some layers attend; none when absent. */
  shown?(): ShownCaches | undefined;
  buildGraph(kind: GraphKind): GraphSpec;
  /** Which token of a text stands for it to an encoder's head; the first when absent. */
  readonly textRow?: 'first' | 'last' | undefined;
  /** Whether each text of a step takes as much memory as its longest one; false when absent. */
  readonly padsTexts?: boolean | undefined;
  /** The model as an encoder, whose one graph is of the kind `encode`; undefined for what it cannot be used for. */
  encoder?(use: EncoderUse, labels: number | undefined): CausalLM | undefined;
}

/** Keys and values that an encoder's graph writes for some layers of text. Things have places there, not sequences. */
export interface ShownCaches {
  readonly caches: readonly KvCacheDesc[];
  /** Rows of one thing, which is as much as a place has. */
  readonly rows: number;
}

/** The checkpoint's names of the embedding, which a tied head is, and of the head. */
export interface HeadNames {
  readonly embedding: string;
  readonly head: string;
}

/** Llama's names, those of its model being under `root`. */
export const headNamesUnder = (root: string): HeadNames => ({
  embedding: `${root}.embed_tokens`,
  head: 'lm_head',
});

export const LLAMA_HEAD = headNamesUnder('model');

/** How a family writes conversations, as far as its checkpoints do not say it: in the original that is Python code. */
export interface ChatFormat {
  /** The same as a Jinja template, where they bring none. */
  readonly template?: string;
  /** Texts of the tokens that end an answer, beside those that configurations name; those that a tokenizer lacks never come. */
  readonly stops?: readonly string[];
}

export type CausalLMClass<C extends BaseConfig> = new (config: C, weights: Weights) => CausalLM;

const CONFIG_DICT: ArgumentKind = { expected: 'what config.json holds, an object', holds: isObject };

/**
 * Everything about a model that is decided before its weights are read: its configuration, its class, and what turns text
 * into its tokens and back. A family overrides what it does in its own way. `C` is what its config.json says.
 */
export abstract class BaseRouter<C extends BaseConfig = BaseConfig> {
  #config: C | undefined;

  constructor(
    readonly modelPath: string,
    /** config.json as it is. */
    readonly configDict: ConfigDict,
    /** Which links the files of the directory may be. */
    readonly links: LinkOptions = {},
  ) {
    const call = `new ${new.target.name}`;
    requireArgument(call, 'modelPath', TEXT, modelPath);
    requireArgument(call, 'configDict', CONFIG_DICT, configDict);
    requireArgument(call, 'links', OBJECT, links);
    requireMember(this, 'getConfig', 'function');
    requireMember(this, 'getModelClass', 'function');
  }

  /** Reads `configDict`. Throws CONFIG_INVALID. */
  protected abstract getConfig(): C;
  protected abstract getModelClass(): CausalLMClass<C>;

  /** For tables of families. It depends on no configuration. */
  get about(): ModelAbout {
    return NOTHING_SAID;
  }

  /** Names of tensors that a model of this family need not read: they hold what is computed anyway. */
  get harmlessTensors(): readonly RegExp[] {
    return [/\.rotary_emb\.inv_freq$/, ...this.predictionTensors];
  }

  /**
   * Names of tensors of layers that guess further tokens (multi-token prediction, arXiv:2412.19437, section 2.2): these
   * change no token that is generated without them. They are called so, or come behind the last layer.
   */
  get predictionTensors(): readonly RegExp[] {
    const { numHiddenLayers, predictionLayers = 0 } = this.config;
    const behind = Array.from({ length: predictionLayers }, (_, at) => numHiddenLayers + at);
    return [
      /(^|\.)mtp(_\w+)?\./,
      ...behind.map((layer) => new RegExp(`^model\\.(language_model\\.)?layers\\.${layer}\\.`)),
    ];
  }

  /** What the model class calls its embedding and its head. */
  get headNames(): HeadNames {
    return LLAMA_HEAD;
  }

  /** Undefined where checkpoints bring their templates. */
  protected getChatFormat(): ChatFormat | undefined {
    return undefined;
  }

  get config(): C {
    this.#config ??= this.getConfig();
    return this.#config;
  }

  /** The class that runs the model, for its name; `createModel` makes one. */
  get modelClass(): CausalLMClass<never> {
    return this.getModelClass();
  }

  /**
   * `config`: as the model runs, where that differs from config.json.
   * @throws MODEL_USE_UNSUPPORTED, WEIGHT_*
   */
  createModel(weights: Weights, config: C = this.config, use: ModelUse = 'generate'): CausalLM {
    const model = new (this.getModelClass())(config, weights);
    if (use === 'generate') return model;
    const encoder = model.encoder?.(use, labelsOf(new ConfigReader(this.configDict)));
    if (encoder) return encoder;
    const { architectures, model_type: modelType } = this.configDict;
    throw new AtbError('MODEL_USE_UNSUPPORTED', { use, modelType, architectures });
  }

  /**
   * What generation_config.json says, with the end tokens of config.json beside its own.
   * @throws CONFIG_INVALID, and TOKENIZER_INVALID for a file that is not JSON
   */
  async getGenerationConfig(): Promise<GenerationConfig> {
    const file = 'generation_config.json';
    const found = await readModelJson(this.modelPath, file, this.links);
    const generation = parseGenerationConfig(found === undefined ? {} : found, file);
    const eosTokenIds = [...new Set([...generation.eosTokenIds, ...this.config.eosTokenIds])];
    const { vocabSize } = this.config;
    const beyond = eosTokenIds.filter((id) => id >= vocabSize);
    if (beyond.length === 0) return { ...generation, eosTokenIds };
    const warning = `eos_token_id ${beyond.join(', ')} is beyond the vocabulary, whose last id is ${vocabSize - 1}: it ends no answer; eos_token_id of generation_config.json and config.json must be the id of the tokenizer's end token`;
    return { ...generation, eosTokenIds, warnings: [...generation.warnings, warning] };
  }

  /** `options`: how texts are cut. @throws TOKENIZER_* */
  getTokenizer(
    { eosTokenIds }: Pick<GenerationConfig, 'eosTokenIds'>,
    options: Pick<HfTokenizerOptions, 'truncation' | 'lowercase'> = {},
  ): Promise<HfTokenizer> {
    return HfTokenizer.load(this.modelPath, { ...this.links, ...options, eosTokenIds });
  }

  /** @throws TEMPLATE_* */
  getInputBuilder(tokenizer: HfTokenizer, options: InputBuilderOptions): Promise<InputBuilder> {
    const familyTemplate = this.getChatFormat()?.template;
    return InputBuilder.load(this.modelPath, tokenizer, { ...this.links, familyTemplate, ...options });
  }

  /**
   * What makes of files what the model's encoder reads; undefined for models of text. `encode` makes ids of the words that
   * stand in prompts around it.
   * @throws CONFIG_INVALID
   */
  async getMediaProcessor(_encode: EncodeWords): Promise<MediaProcessor | undefined> {
    return undefined;
  }

  /** Without a tokenizer it follows token ids alone. */
  getPostprocessor(tokenizer: HfTokenizer | undefined, { eosTokenIds }: GenerationConfig): Postprocessor {
    const stops = this.getChatFormat()?.stops ?? [];
    const stopIds = stops.flatMap((token) => tokenizer?.tokenToId(token) ?? []);
    return new Postprocessor(tokenizer, [...(tokenizer?.eosTokenIds ?? eosTokenIds), ...stopIds]);
  }
}

/** A router of whatever family: its public side, which asks for no more of a configuration than all have. */
export type Router = Pick<BaseRouter, keyof BaseRouter>;

export type RouterClass = new (modelPath: string, configDict: ConfigDict, links?: LinkOptions) => Router;
