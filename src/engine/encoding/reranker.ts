import { AtbError, refuseRequest } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { isClassifier } from '../../layers/config/index.js';
import type { OpenModel } from '../../runner/open-model.js';
import { checkOptions } from '../../runner/options.js';
import { ENCODER_OPTIONS, RERANK_OPTIONS } from '../options.js';
import type { RerankOptions } from './encode-options.js';
import { type EncoderOptions, OpenEncoder, requireOpenEncoder, type TextLimits } from './open-encoder.js';
import { DEFAULT_INSTRUCTION, QWEN3_MAX_LENGTH, Qwen3Judgement } from './qwen3-judgement.js';

/** How well one document answers the query. */
export interface RankedDocument {
  /** Its place among the documents that were given. */
  readonly index: number;
  /** Larger is better; from 0 to 1 unless the checkpoint's files say that logits are wanted. */
  readonly score: number;
  /** Tokens of query and document together, as the model read them. */
  readonly tokens: number;
}

interface Ranking extends TextLimits {
  readonly activation: (logit: number) => number;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** What the files of sentence-transformers call the functions that make scores of logits. */
const ACTIVATIONS: Readonly<Record<string, (logit: number) => number>> = {
  'torch.nn.modules.activation.Sigmoid': sigmoid,
  'torch.nn.modules.linear.Identity': (logit) => logit,
};

/**
 * A model that ranks documents by a query: a classifier with one label (bge-reranker, cross encoders), whose scores are
 * those of `CrossEncoder.predict` of sentence-transformers 6.2, or Qwen3-Reranker, which is asked for yes or no in the
 * words that it was published with. Calls may run at the same time.
 */
export class Reranker {
  readonly #encoder: OpenEncoder;
  readonly #activation: Ranking['activation'];
  readonly #judgement: Qwen3Judgement | undefined;

  private constructor(
    encoder: OpenEncoder,
    activation: Ranking['activation'],
    judgement: Qwen3Judgement | undefined,
  ) {
    requireOpenEncoder('Reranker', encoder);
    this.#encoder = encoder;
    this.#activation = activation;
    this.#judgement = judgement;
  }

  /**
   * Loads the checkpoint of a directory.
   * @throws MODEL_USE_UNSUPPORTED for what is neither; CONFIG_INVALID for a classifier with several labels; ROUTER_*,
   * WEIGHT_*, TOKENIZER_*, NATIVE_*, REQUEST_INVALID, OPTION_UNKNOWN
   */
  static async load(modelPath: string, options: EncoderOptions = {}): Promise<Reranker> {
    checkOptions(options, ENCODER_OPTIONS, 'EncoderOptions');
    if (options.loadTokenizer === false) refuseRequest('loadTokenizer', 'true: pairs are texts', false);
    const { encoder, limits } = await OpenEncoder.load(
      { ...options, modelPath, use: 'rank' },
      async (open) => rankingOf(open),
      ({ model }) => model.textRow ?? 'first',
    );
    try {
      const judges = !isClassifier(encoder.open.router.configDict);
      const judgement = judges ? await Qwen3Judgement.of(encoder) : undefined;
      return new Reranker(encoder, limits.activation, judgement);
    } catch (error) {
      await encoder.dispose();
      throw error;
    }
  }

  /** Tokens at which query and document are cut, the longer one first. */
  get maxSeqLength(): number {
    return this.#encoder.maxSeqLength;
  }

  /**
   * The documents by how well they answer the query, the best first; equal ones in their order.
   * @throws REQUEST_INVALID by the document's place; REQUEST_ABORTED, REQUEST_FAILED for a score that is not finite,
   * TOKENIZER_*, ENGINE_DISPOSED, OPTION_UNKNOWN
   */
  async rerank(
    query: string,
    documents: readonly string[],
    options: RerankOptions = {},
  ): Promise<RankedDocument[]> {
    checkOptions(options, RERANK_OPTIONS, 'RerankOptions');
    if (typeof query !== 'string') refuseRequest('query', 'a text', query);
    if (!Array.isArray(documents)) refuseRequest('documents', 'a list of texts', documents);
    const { instruction = DEFAULT_INSTRUCTION, signal } = options;
    if (options.instruction !== undefined && !this.#judgement)
      refuseRequest('instruction', 'absent: this model is not asked in words', instruction);
    const ranked = await this.#encoder.encode(
      documents.length,
      async (index) => {
        const document: unknown = documents[index];
        if (typeof document !== 'string') return refuseRequest(`documents[${index}]`, 'a text', document);
        return this.#judgement
          ? this.#judgement.tokens({ instruction, query, document })
          : this.#encoder.tokens(query, document);
      },
      ({ data }, index, tokens) => ({ index, score: this.#scoreOf(data), tokens }),
      signal,
    );
    return ranked.sort((a, b) => b.score - a.score || a.index - b.index);
  }

  /** Ends what runs, then the native engine. Idempotent. */
  dispose(): Promise<void> {
    return this.#encoder.dispose();
  }

  #scoreOf(logits: Float32Array): number {
    const logit = this.#judgement ? this.#judgement.logitOf(logits) : (logits[0] as number);
    const score = this.#activation(logit);
    if (Number.isFinite(score)) return score;
    const reason = 'the score is not finite; the checkpoint or its dtype is at fault';
    throw new AtbError('REQUEST_FAILED', { during: 'ranking', reason });
  }
}

/** How logits become scores, and where pairs are cut. */
function rankingOf({ router, config }: OpenModel): Ranking {
  const { configDict } = router;
  if (!isClassifier(configDict)) {
    if (config.modelType === 'qwen3')
      return { activation: sigmoid, maxSeqLength: QWEN3_MAX_LENGTH, lowercase: false };
    const { architectures, model_type: modelType } = configDict;
    throw new AtbError('MODEL_USE_UNSUPPORTED', { use: 'rank', modelType, architectures });
  }
  const fail = (problem: string): never => {
    throw new AtbError('CONFIG_INVALID', { file: 'config.json', problems: [problem] });
  };
  const { labels } = config;
  if (labels !== undefined && labels !== 1)
    fail(`a classifier must have one label to rank by it, found ${labels}`);
  const own = configDict.sentence_transformers;
  const name =
    (isObject(own) ? own.activation_fn : undefined) ?? configDict.sbert_ce_default_activation_function;
  const known = Object.keys(ACTIVATIONS);
  if (name === undefined || name === null)
    return { activation: sigmoid, maxSeqLength: undefined, lowercase: false };
  const activation = ACTIVATIONS[String(name)] ?? fail(`activation_fn must be one of ${known.join(', ')}`);
  return { activation, maxSeqLength: undefined, lowercase: false };
}
