import type { BaseConfig, ConfigDict } from '../layers/config/index.js';
import type { EncodeWords, MediaProcessor } from '../media/index.js';
import type { LinkOptions } from '../weights/regular-file.js';
import {
  BaseRouter,
  type CausalLMClass,
  type ChatFormat,
  type HeadNames,
  LLAMA_HEAD,
} from './base-router.js';
import { type ModelAbout, NOTHING_SAID } from './model-about.js';

/** What a family's router knows beside its configuration and its model class. */
export interface RouterOptions<C extends BaseConfig = BaseConfig> {
  /** Names of tensors that need not be read, beside those of every family: they hold what is computed anyway. */
  readonly harmlessTensors?: readonly RegExp[] | ((config: C) => readonly RegExp[]);
  /** What the model class calls its embedding and its head; Llama's names when absent. */
  readonly headNames?: HeadNames | ((config: C) => HeadNames);
  /** What config.json says decides where versions of a family write otherwise. */
  readonly chatFormat?: (configDict: ConfigDict) => ChatFormat;
  /** The class for what config.json says, where it is not the family's. */
  readonly modelOf?: (configDict: ConfigDict) => CausalLMClass<C> | undefined;
  /** For families that see or hear: what makes of files what the encoder reads. */
  readonly mediaProcessor?: (
    folder: { readonly dir: string; readonly links: LinkOptions },
    config: C,
    encode: EncodeWords,
  ) => Promise<MediaProcessor | undefined>;
  /** For tables of families. */
  readonly about?: ModelAbout;
}

/**
 * The router of a family that has nothing but a configuration and a model class of its own:
 * `registerModel('olmo2', routerOf(OLMO2_CONFIG, FlashOlmo2ForCausalLMATB))`.
 */
export function routerOf<C extends BaseConfig>(
  definition: { read(dict: ConfigDict): C },
  model: CausalLMClass<C>,
  {
    harmlessTensors = [],
    headNames = LLAMA_HEAD,
    chatFormat,
    modelOf,
    mediaProcessor,
    about = NOTHING_SAID,
  }: RouterOptions<C> = {},
): { new (...args: ConstructorParameters<typeof BaseRouter>): BaseRouter<C> } {
  return class extends BaseRouter<C> {
    override get about(): ModelAbout {
      return about;
    }

    override get headNames(): HeadNames {
      return typeof headNames === 'function' ? headNames(this.config) : headNames;
    }

    override get harmlessTensors(): readonly RegExp[] {
      const own = typeof harmlessTensors === 'function' ? harmlessTensors(this.config) : harmlessTensors;
      return [...super.harmlessTensors, ...own];
    }

    override async getMediaProcessor(encode: EncodeWords): Promise<MediaProcessor | undefined> {
      return mediaProcessor?.({ dir: this.modelPath, links: this.links }, this.config, encode);
    }

    protected override getChatFormat(): ChatFormat | undefined {
      return chatFormat?.(this.configDict);
    }

    protected getConfig(): C {
      return definition.read(this.configDict);
    }

    protected getModelClass(): CausalLMClass<C> {
      return modelOf?.(this.configDict) ?? model;
    }
  };
}
