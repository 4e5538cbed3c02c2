import { freemem } from 'node:os';
import { AtbError } from '../errors.js';
import { PREFILL } from '../graph/graph-kind.js';
import type { DraftModel } from '../runner/draft-model.js';
import { blockBytesOf, blockSizeOf, shownBytesOf } from '../runner/kv-block-bytes.js';
import { ModelRunner } from '../runner/model-runner.js';
import { type OpenModel, openModel } from '../runner/open-model.js';
import { checkOptions } from '../runner/options.js';
import { requireRewinding } from '../runner/rewinding.js';
import type { RunnerOptions } from '../runner/runner-options.js';
import { shownPlacesFor } from '../runner/shown-places.js';
import type { TextProcessing } from '../runner/text-processing.js';
import { mergeSampling, resolveSamplingParams } from '../sampling/sampling-params.js';
import { LLMEngine } from './llm-engine.js';
import { draftTokensOf, OpenDraft } from './open-draft.js';
import type { OpenEngineOptions } from './open-engine-options.js';
import { OPEN_ENGINE_OPTIONS } from './options.js';

/** The limits of an engine with its defaults filled in. */
export interface EngineLimits {
  readonly maxBatchSize: number;
  readonly maxInputLength: number;
  readonly maxOutputLength: number;
  readonly maxModelLen: number;
}

/** A model that is ready for requests. Whoever opened it disposes the engine, then the runner and the draft model. */
export interface OpenEngine {
  readonly engine: LLMEngine;
  readonly runner: ModelRunner;
  readonly draft: DraftModel | undefined;
  /** Its tokenizer is absent with `loadTokenizer: false`. */
  readonly text: TextProcessing;
  readonly limits: EngineLimits;
}

/**
 * From a directory to an engine: opens the model, sizes its cache, loads its weights.
 * @throws ROUTER_*, CONFIG_*, WEIGHT_*, TOKENIZER_*, TEMPLATE_*, NATIVE_*, REQUEST_INVALID, OPTION_UNKNOWN,
 * CACHE_TOO_SMALL
 */
export async function openEngine(options: OpenEngineOptions): Promise<OpenEngine> {
  checkOptions(options, OPEN_ENGINE_OPTIONS, 'OpenEngineOptions');
  const { maxBatchSize = 1, maxInputLength = 1024, maxOutputLength = 20 } = options;
  const model = await openModel(options);
  const { blockSize = blockSizeOf(model.model, model.cacheDType) } = options;
  if (!model.model.graphKinds.includes(PREFILL)) {
    const { architectures, model_type: modelType } = model.router.configDict;
    throw new AtbError('MODEL_USE_UNSUPPORTED', { use: 'generate', modelType, architectures });
  }
  // A process of its own reads the tokenizer, beside all that follows.
  const reading = new TextBeside(model);
  // As early as that, a mistake in what holds for every request costs nobody the weights' loading.
  const { sampling = {} } = options;
  const { vocabSize, maxPositionEmbeddings } = model.config;
  resolveSamplingParams(sampling, { vocabSize, defaults: { maxTokens: 2 ** 31 - 1 } });
  const maxModelLen = Math.min(
    options.maxModelLen ?? maxInputLength + maxOutputLength,
    maxPositionEmbeddings,
  );
  const { usualModelLen = maxModelLen } = options;
  const blocksOf = (tokens: number) => Math.ceil(Math.min(tokens, maxModelLen) / blockSize);
  const wanted = Math.max(maxBatchSize * blocksOf(usualModelLen), blocksOf(maxModelLen));
  const { draftModelPath } = options;
  const openDraft =
    draftModelPath === undefined ? undefined : await OpenDraft.of(model, draftModelPath, options);
  const draftTokens = draftTokensOf(draftModelPath, options.draftTokens);
  if (draftTokens > 0) requireRewinding(model, 'draftTokens');
  const blockBytes =
    blockBytesOf(model.model, model.cacheDType, blockSize) + (openDraft?.blockBytes(blockSize) ?? 0);
  const shownBytes = shownPlacesFor(maxBatchSize) * shownBytesOf(model.model, model.cacheDType, blockSize);
  const numBlocks = cacheBlocks(options, wanted, blockBytes, shownBytes, openDraft?.weightBytes);
  const { maxPrefillTokens = maxBatchSize * maxModelLen } = options;
  const runner = await ModelRunner.load(model, {
    ...{
      ...options,
      blockSize,
      numBlocks,
      shownPlaces: shownPlacesFor(maxBatchSize),
      onProgress: reading.stopping(options.onProgress),
    },
    // Without chunks a step is as large as prompts happen to be.
    ...(options.chunkedPrefill &&
      options.maxPrefillTokens !== undefined && {
        largestStep: {
          tokens: maxPrefillTokens,
          batch: maxBatchSize,
          context: maxModelLen,
          guesses: draftTokens,
        },
      }),
  });
  let draft: DraftModel | undefined;
  try {
    const text = await reading.text;
    draft = await openDraft?.load(runner, { maxBatchSize, maxModelLen }, options);
    const engine = new LLMEngine(runner, {
      postprocessor: text.postprocessor,
      maxBatchSize,
      maxPrefillBatchSize: options.maxPrefillBatchSize ?? maxBatchSize,
      maxPrefillTokens,
      maxModelLen,
      maxModelLenName: lengthName(options, maxModelLen, maxPositionEmbeddings),
      chunkedPrefill: options.chunkedPrefill ?? maxPrefillTokens < maxModelLen,
      ...(options.prefixCaching !== undefined && { prefixCaching: options.prefixCaching }),
      draftTokens,
      ...(draft && { draftModel: draft }),
      ...(options.policy !== undefined && { policy: options.policy }),
      samplingDefaults: mergeSampling(text.samplingDefaults, { maxTokens: maxOutputLength }, sampling),
      ...(options.onStep && { onStep: options.onStep }),
    });
    const limits = { maxBatchSize, maxInputLength, maxOutputLength, maxModelLen };
    return { engine, runner, draft, text, limits };
  } catch (error) {
    draft?.dispose();
    runner.dispose();
    throw error;
  }
}

/** A model's tokenizer and templates, while its weights are loaded. */
class TextBeside {
  readonly text: Promise<TextProcessing>;
  #failure: { readonly error: unknown } | undefined;

  constructor(model: OpenModel) {
    this.text = model.text();
    this.text.catch((error: unknown) => {
      this.#failure = { error };
    });
  }

  /** What loading reports to, which ends it when there is no text to be had. */
  stopping(onProgress: RunnerOptions['onProgress'] = () => {}): NonNullable<RunnerOptions['onProgress']> {
    return (loadedBytes, totalBytes) => {
      if (this.#failure) throw this.#failure.error;
      onProgress(loadedBytes, totalBytes);
    };
  }
}

/** What sets the length of the model, for messages. */
function lengthName(
  { maxModelLen }: OpenEngineOptions,
  found: number,
  maxPositionEmbeddings: number,
): string {
  if (found === maxPositionEmbeddings) return 'max_position_embeddings';
  return maxModelLen === undefined ? 'maxInputLength + maxOutputLength' : 'maxModelLen';
}

/**
 * Blocks of the KV caches: as many as wanted, within the budget or, without one, within the machine's free memory.
 * `shownBytes`: what is kept beside them of what sequences show.
 */
function cacheBlocks(
  { cacheBytes, memoryBudget }: OpenEngineOptions,
  wanted: number,
  blockBytes: number,
  shownBytes: number,
  draftWeightBytes = 0,
): (weightBytes: number) => number {
  if (cacheBytes === undefined && memoryBudget === undefined) {
    // Weights come out of the same memory, so the cache may not take it all.
    const affordable = Math.floor((freemem() * 0.8 - shownBytes) / blockBytes);
    if (wanted > affordable)
      throw new AtbError('CACHE_TOO_SMALL', {
        neededBytes: wanted * blockBytes + shownBytes,
        availableBytes: Math.floor(freemem() * 0.8),
        remedy: 'lower max_batch_size or the lengths, or give a memory budget',
      });
    return () => wanted;
  }
  return (weightBytes) => {
    const availableBytes =
      Math.min(cacheBytes ?? Infinity, (memoryBudget ?? Infinity) - weightBytes - draftWeightBytes) -
      shownBytes;
    const blocks = Math.floor(availableBytes / blockBytes);
    if (blocks < 1)
      throw new AtbError('CACHE_TOO_SMALL', {
        neededBytes: blockBytes,
        availableBytes: Math.max(0, availableBytes),
        remedy: 'raise the memory budget',
      });
    return Math.min(blocks, wanted);
  };
}
