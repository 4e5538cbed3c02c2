import { AtbError, refuseRequest } from '../../errors.js';
import { checkOptions } from '../../runner/options.js';
import { EMBED_OPTIONS, ENCODER_OPTIONS } from '../options.js';
import type { EmbedOptions } from './encode-options.js';
import { type EncoderOptions, OpenEncoder, requireOpenEncoder } from './open-encoder.js';
import { normalized, pool } from './pooling.js';
import { readSentenceModules, type SentenceModules } from './sentence-modules.js';

/** The vector of one text. */
export interface Embedding {
  /** [dimension] in f32. */
  readonly vector: Float32Array;
  /** Tokens of the text, with its prompt, special tokens included, as the model read them. */
  readonly tokens: number;
}

type Pooling = SentenceModules & { readonly maxSeqLength: number | undefined };

/**
 * A model that makes a vector of each text, as sentence-transformers (6.2) defines it by the files beside the checkpoint:
 * modules.json, the pooling, `Dense` and `Normalize` that it names, prompts, and the length at which texts are cut.
 * Calls may run at the same time; their texts share steps, which changes no vector by a bit.
 */
export class EmbeddingModel {
  readonly #encoder: OpenEncoder;
  readonly #modules: Pooling;
  readonly #promptLens = new Map<string, Promise<number>>();

  private constructor(encoder: OpenEncoder, modules: Pooling) {
    requireOpenEncoder('EmbeddingModel', encoder);
    this.#encoder = encoder;
    this.#modules = modules;
  }

  /**
   * Loads the checkpoint of a directory.
   * @throws MODEL_USE_UNSUPPORTED for classifiers; CONFIG_INVALID for modules that are not supported, by name; ROUTER_*,
   * WEIGHT_*, TOKENIZER_*, NATIVE_*, REQUEST_INVALID, OPTION_UNKNOWN
   */
  static async load(modelPath: string, options: EncoderOptions = {}): Promise<EmbeddingModel> {
    checkOptions(options, ENCODER_OPTIONS, 'EncoderOptions');
    const { encoder, limits } = await OpenEncoder.load(
      { ...options, modelPath, use: 'embed' },
      ({ router, config }) => {
        const { architectures } = router.configDict;
        const isCausalLM =
          Array.isArray(architectures) &&
          String(architectures[0]).endsWith('ForCausalLM') &&
          config.isCausal !== false;
        const folder = { dir: router.modelPath, links: router.links };
        return readSentenceModules(folder, config.encodedSize ?? config.hiddenSize, isCausalLM);
      },
      (_, { pooling: { modes, includesPrompt } }) => {
        const [mode] = modes;
        if (modes.length > 1 || !includesPrompt) return 'all';
        return mode === 'cls' ? 'first' : mode === 'lasttoken' ? 'last' : 'all';
      },
    );
    return new EmbeddingModel(encoder, limits);
  }

  /** Tokens at which texts are cut. */
  get maxSeqLength(): number {
    return this.#encoder.maxSeqLength;
  }

  /** Numbers of a vector. */
  get width(): number {
    return this.#modules.width;
  }

  /** The names that `promptName` may have. */
  get promptNames(): readonly string[] {
    return [...this.#modules.prompts.keys()];
  }

  /**
   * Vectors of texts, or of token ids, in their order. Texts get their prompt and what the tokenizer puts around them, and
   * are cut as sentence-transformers cuts them; token ids are taken as they are.
   * @throws REQUEST_INVALID by the text's place, or for a prompt that there is not; REQUEST_ABORTED, REQUEST_FAILED for a
   * vector that is not finite, TOKENIZER_*, ENGINE_DISPOSED, OPTION_UNKNOWN
   */
  async embed(
    texts: readonly (string | ArrayLike<number>)[],
    options: EmbedOptions = {},
  ): Promise<Embedding[]> {
    checkOptions(options, EMBED_OPTIONS, 'EmbedOptions');
    if (!Array.isArray(texts)) refuseRequest('texts', 'a list of texts', texts);
    const { dimensions = this.width } = options;
    if (dimensions > this.width)
      refuseRequest('dimensions', `at most ${this.width}, as the model's vectors have`, dimensions);
    const prompt = this.#promptOf(options);
    const skip = this.#modules.pooling.includesPrompt ? 0 : await this.#promptLen(prompt);
    return this.#encoder.encode(
      texts.length,
      async (index) => {
        const given = texts[index];
        const field = `texts[${index}]`;
        const text =
          typeof given === 'string'
            ? await this.#encoder.tokens(prompt + given)
            : this.#encoder.given(field, given as ArrayLike<number>);
        if (text.tokenIds.length === 0) refuseRequest(field, 'a text of at least one token', given);
        return text;
      },
      ({ data, width }, index, tokens) => {
        const isText = typeof texts[index] === 'string';
        const vector = this.#vectorOf(data, width, isText ? skip : 0);
        return { vector: this.#cut(vector, dimensions), tokens };
      },
      options.signal,
    );
  }

  /** Ends what runs, then the native engine. Idempotent. */
  dispose(): Promise<void> {
    return this.#encoder.dispose();
  }

  #vectorOf(data: Float32Array, width: number, skip: number): Float32Array {
    const { pooling, steps } = this.#modules;
    const vector = steps.reduce((found, step) => step(found), pool(pooling.modes, { data, width, skip }));
    if (vector.every(Number.isFinite)) return vector;
    const reason = 'the vector is not finite; the checkpoint or its dtype is at fault';
    throw new AtbError('REQUEST_FAILED', { during: 'embedding', reason });
  }

  #cut(vector: Float32Array, dimensions: number): Float32Array {
    if (dimensions === vector.length) return vector;
    const first = vector.slice(0, dimensions);
    return this.#modules.steps.at(-1) === normalized ? normalized(first) : first;
  }

  #promptOf({ prompt, promptName }: EmbedOptions): string {
    const { prompts, defaultPromptName } = this.#modules;
    if (prompt !== undefined) return prompt;
    const name = promptName ?? defaultPromptName;
    if (name === undefined) return '';
    const found = prompts.get(name);
    return found ?? refuseRequest('promptName', `one of ${this.promptNames.join(', ')}`, name);
  }

  /** Tokens of a prompt, without a special one behind it. */
  #promptLen(prompt: string): Promise<number> {
    if (prompt === '' || !this.#encoder.tokenizer) return Promise.resolve(0);
    const { tokenizer } = this.#encoder;
    const known = this.#promptLens.get(prompt);
    const measured =
      known ??
      this.#encoder.tokens(prompt).then(({ tokenIds }) => {
        const last = tokenIds.at(-1);
        return last !== undefined && tokenizer.isSpecial(last) ? tokenIds.length - 1 : tokenIds.length;
      });
    // Prompts of the model's own are few; those of callers might be many.
    if ([...this.#modules.prompts.values()].includes(prompt)) this.#promptLens.set(prompt, measured);
    return measured;
  }
}
