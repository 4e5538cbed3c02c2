import { AtbError, refuseRequest } from '../../errors.js';
import { refuseArgument } from '../../require-argument.js';
import { ModelRunner } from '../../runner/model-runner.js';
import { type OpenModel, type OpenModelOptions, openModel } from '../../runner/open-model.js';
import type { RunnerOptions } from '../../runner/runner-options.js';
import type { EncodedText, WantedRows } from '../../runner/steps.js';
import { checkTokenIds } from '../../sampling/token-ids.js';
import type { HfTokenizer } from '../../tokenizer/hf-tokenizer.js';
import { readModelJson } from '../../tokenizer/model-files.js';
import { AbortSignals } from '../abort-signals.js';
import { type EncodedRows, EncodeLoop } from './encode-loop.js';

/** How a model that embeds or ranks is loaded, and what fits into one of its steps. */
export interface EncoderOptions
  extends Omit<
      OpenModelOptions,
      'modelPath' | 'loraModules' | 'use' | 'chatTemplate' | 'allowedLocalMediaPath' | 'kvQuant'
    >,
    Pick<
      RunnerOptions,
      'threads' | 'isa' | 'passes' | 'weightsCache' | 'nativePath' | 'onProgress' | 'onPlan'
    > {
  /**
   * Tokens of one step; 8192 when absent, and 2048 of models each of whose texts takes as much memory as the longest one
   * beside it, and counts so. A text that has more is a step of its own.
   */
  readonly maxBatchTokens?: number | undefined;
  /** Tokens of a text, from which on it is cut; as the checkpoint's files say when absent. */
  readonly maxSeqLength?: number | undefined;
}

/** What decides how texts become tokens. */
export interface TextLimits {
  /** Tokens that a text may have; the tokenizer's own limit when absent. */
  readonly maxSeqLength: number | undefined;
  readonly lowercase: boolean;
}

const DEFAULT_BATCH_TOKENS = 8192;
const DEFAULT_PADDED_TOKENS = 2048;
/** More than any post-processor puts around a pair. */
const MIN_SEQ_LENGTH = 8;
/** Texts that are tokenised while others are computed. */
const GROUP = 32;

/** A model on an engine, its tokenizer and its step loop: what embedding and ranking have in common. */
export class OpenEncoder {
  readonly #signals = new AbortSignals();

  private constructor(
    readonly open: OpenModel,
    readonly runner: ModelRunner,
    /** Absent with `loadTokenizer: false`. */
    readonly tokenizer: HfTokenizer | undefined,
    readonly maxSeqLength: number,
    private readonly loop: EncodeLoop,
  ) {}

  /** `limitsOf` reads the checkpoint's own limits before any weights are loaded. @throws as `openModel` and `ModelRunner.load` */
  static async load<L extends TextLimits>(
    options: EncoderOptions & { readonly modelPath: string; readonly use: 'embed' | 'rank' },
    limitsOf: (open: OpenModel) => Promise<L>,
    rowsOf: (open: OpenModel, limits: L) => WantedRows,
  ): Promise<{ readonly encoder: OpenEncoder; readonly limits: L }> {
    const { loadTokenizer = true } = options;
    const open = await openModel(options);
    const { padsTexts = false } = open.model;
    const { maxBatchTokens = padsTexts ? DEFAULT_PADDED_TOKENS : DEFAULT_BATCH_TOKENS } = options;
    const limits = await limitsOf(open);
    const files = await tokenizerLimits(open);
    const { maxPositionEmbeddings, eosTokenIds } = open.config;
    const wanted = options.maxSeqLength ?? limits.maxSeqLength ?? files.maxLength;
    const maxSeqLength = Math.min(wanted, maxPositionEmbeddings);
    if (maxSeqLength < MIN_SEQ_LENGTH)
      refuseRequest('maxSeqLength', `at least ${MIN_SEQ_LENGTH} tokens`, maxSeqLength);
    const { lowercase } = limits;
    const truncation = { maxLength: maxSeqLength, side: files.side } as const;
    const tokenizer = loadTokenizer
      ? await open.router.getTokenizer({ eosTokenIds }, { truncation, lowercase })
      : undefined;
    const blockSize = 128;
    // Nothing is kept, but tables of positions reach as far as a cache would.
    const numBlocks = Math.ceil(maxPositionEmbeddings / blockSize);
    const runner = await ModelRunner.load(open, { ...options, blockSize, numBlocks });
    const loop = new EncodeLoop(runner, rowsOf(open, limits), maxBatchTokens, padsTexts);
    return { encoder: new OpenEncoder(open, runner, tokenizer, maxSeqLength, loop), limits };
  }

  /** @throws REQUEST_INVALID when the tokenizer was not loaded */
  requireTokenizer(): HfTokenizer {
    return (
      this.tokenizer ?? refuseRequest('texts', 'token ids, because the tokenizer was not loaded', 'a text')
    );
  }

  /** Ids and types of a text or a pair, cut to `maxSeqLength`. @throws TOKENIZER_*, REQUEST_INVALID */
  async tokens(text: string, pair?: string): Promise<EncodedText> {
    const { tokenIds, tokenTypes } = await this.requireTokenizer().encodeTyped(text, pair);
    const { typeVocabSize = 0 } = this.open.config;
    // Models that know one type, or none, are not told.
    return typeVocabSize > 1 ? { tokenIds, tokenTypes } : { tokenIds };
  }

  /** Token ids as they are given. @throws REQUEST_INVALID */
  given(field: string, ids: ArrayLike<number>): EncodedText {
    const isList = Array.isArray(ids) || ArrayBuffer.isView(ids);
    if (!isList) refuseRequest(field, 'a text, or a list of token ids', ids);
    if (ids.length > this.maxSeqLength)
      refuseRequest(field, `at most ${this.maxSeqLength} tokens`, ids.length);
    return { tokenIds: Int32Array.from(checkTokenIds(field, ids, this.open.config.vocabSize)) };
  }

  /**
   * What comes of each of `count` texts, which `textOf` makes while others are computed.
   * @throws REQUEST_ABORTED, ENGINE_DISPOSED, what `textOf` throws, NATIVE_*
   */
  async encode<T>(
    count: number,
    textOf: (index: number) => Promise<EncodedText>,
    resultOf: (rows: EncodedRows, index: number, tokens: number) => T,
    signal: AbortSignal | undefined,
  ): Promise<T[]> {
    const call = this.loop.begin();
    const abort = (reason: unknown): void =>
      call.fail(new AtbError('REQUEST_ABORTED', { text: '', tokens: [] }, { cause: reason }));
    if (signal?.aborted) abort(signal.reason);
    else if (signal) this.#signals.add(signal, abort);
    try {
      const lens: number[] = [];
      for (let start = 0; start < count && !call.hasEnded; start += GROUP) {
        const group = Array.from({ length: Math.min(GROUP, count - start) }, (_, i) => textOf(start + i));
        const texts = await Promise.all(group);
        lens.push(...texts.map(({ tokenIds }) => tokenIds.length));
        call.add(texts);
      }
      call.close();
      const results = await call.results;
      return results.map((rows, index) => resultOf(rows, index, lens[index] as number));
    } catch (error) {
      call.fail(error);
      throw error;
    } finally {
      if (signal) this.#signals.delete(signal, abort);
    }
  }

  /** Ends what runs, then the native engine. Idempotent. */
  async dispose(): Promise<void> {
    try {
      await this.loop.dispose();
    } finally {
      this.runner.dispose();
    }
  }
}

/** What tokenizer_config.json says about long texts; transformers writes 1e30 where there is no limit. */
async function tokenizerLimits({
  router,
}: OpenModel): Promise<{ readonly maxLength: number; readonly side: 'left' | 'right' }> {
  const found = await readModelJson(router.modelPath, 'tokenizer_config.json', router.links);
  const { model_max_length: length, truncation_side: side } = (found ?? {}) as Record<string, unknown>;
  return {
    maxLength: typeof length === 'number' && length >= 1 ? length : Number.POSITIVE_INFINITY,
    side: side === 'left' ? 'left' : 'right',
  };
}

/** Refuses what somebody has made with `new` of a class that `load` makes. @throws ARGUMENT_INVALID */
export function requireOpenEncoder(made: string, found: unknown): void {
  const expected = `what ${made}.load opens; call \`await ${made}.load({ modelPath })\``;
  if (!(found instanceof OpenEncoder)) refuseArgument(`new ${made}`, 'its argument', expected, found);
}
