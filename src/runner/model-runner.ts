import { availableParallelism } from 'node:os';
import type { FloatDType, Tensor } from '../dtype.js';
import { ENCODE, type GraphKind, PREFILL } from '../graph/graph-kind.js';
import type { BaseConfig } from '../layers/config/index.js';
import type { EncoderInput, Insert } from '../media/index.js';
import {
  betterTableText,
  createEngine,
  type GraphStats,
  kernelTables,
  type MachineLimits,
  type NativeEngine,
  type SamplerOptions,
  type StepResult,
} from '../native/index.js';
import type { Batch, StepSequence } from '../scheduler/batch.js';
import { type PrefixFacts, prefixFacts, type Step } from '../step-inputs/index.js';
import { allocateCaches } from './allocate-caches.js';
import { requireCachedAttention } from './cached-attention.js';
import { Encodings, encodedInTurn } from './encodings.js';
import { Grammars, type GrammarVocabulary } from './grammars.js';
import { blockBytesOf, blockSizeOf } from './kv-block-bytes.js';
import { graphIdOf, type LoadedModel, requireLoaded } from './loaded-model.js';
import { observer } from './observer.js';
import { type OpenModel, openModel, requireOpenModel } from './open-model.js';
import { checkOptions, MODEL_RUNNER_OPTIONS } from './options.js';
import { PackedWeights } from './packed-weights.js';
import { Profiler } from './profiler.js';
import type { ModelRunnerOptions, RunnerOptions, RunOptions } from './runner-options.js';
import { type BatchResult, joinedResults, newTokensOf, samplingRowsOf } from './sampling-rows.js';
import { ServedInputs } from './served-inputs.js';
import { reserveSteps } from './step-sizes.js';
import { steadyMs } from './step-trace.js';
import type { EncodedText, ForwardInputs, ForwardLimits, WantedRows } from './steps.js';
import { promptInputs, stepOfBatch, stepOfForward, stepOfInputs, stepOfTexts } from './steps.js';
import { graphsOf, loadWeights, weightStorage } from './weight-storage.js';

export * from './runner-options.js';

/**
 * A model on an engine: its weights, its graphs, its KV cache. Takes batches, makes the inputs that a step's graph reads,
 * makes one native call. It schedules nothing and owns no sequence.
 */
export class ModelRunner {
  readonly config: BaseConfig;
  readonly dtype: FloatDType;
  readonly blockSize: number;
  readonly numBlocks: number;
  /** Bytes of one KV block of all caches together. */
  readonly blockBytes: number;
  /** Milliseconds that loading took. */
  readonly loadMs: number;
  /** With the option `profile`. */
  readonly profiler: Profiler | undefined;
  /** Keys of a token may depend on its prompt's length, as with dynamic rotary scaling, or on what it shows. */
  readonly prefixes: PrefixFacts;
  /** Names of the LoRA adapters that requests may ask for, in the order in which steps number them. */
  readonly adapters: readonly string[];
  readonly #loaded: LoadedModel;
  readonly #samplers = new Map<StepSequence, number>();
  readonly #encodings = new Encodings();

  private constructor(loaded: LoadedModel) {
    this.config = requireLoaded(loaded).config;
    this.dtype = loaded.dtype;
    this.blockSize = loaded.blockSize;
    this.numBlocks = loaded.numBlocks;
    this.blockBytes = loaded.blockBytes;
    this.loadMs = loaded.loadMs;
    this.profiler = loaded.profiler;
    this.prefixes = loaded.prefixes;
    this.adapters = loaded.adapters;
    this.#loaded = loaded;
  }

  /**
   * Puts a model on an engine: one that is open, or that of a directory.
   * @throws WEIGHT_*, NATIVE_*, OPTION_UNSUPPORTED; for a directory also what `openModel` throws, and
   * REQUEST_INVALID, OPTION_UNKNOWN
   */
  static async load(
    ...given: [open: OpenModel, options: RunnerOptions] | [options: ModelRunnerOptions]
  ): Promise<ModelRunner> {
    if (given.length === 1) {
      checkOptions(given[0], MODEL_RUNNER_OPTIONS, 'ModelRunnerOptions');
      return ModelRunner.load(await openModel(given[0]), given[0]);
    }
    const [open, options] = given;
    requireOpenModel('ModelRunner.load', open, options);
    const { config, dtype, cacheDType, checkpoint, model, openMs } = open;
    const start = performance.now() - openMs;
    const packed = PackedWeights.of(open, options);
    const { blockSize = blockSizeOf(model, cacheDType), threads = availableParallelism() } = options;
    const storage = weightStorage(model.getWeights());
    const graphs = graphsOf(model, storage, dtype, options.passes);
    if (cacheDType === 'i8') requireCachedAttention(graphs.get(PREFILL));
    const { isa, nativePath } = options;
    const better = isa === undefined ? betterTableText(kernelTables(nativePath)) : undefined;
    if (better !== undefined) open.onWarning(better);
    const engine = createEngine({
      ...{ threads, ...(isa !== undefined && { isa }), ...(nativePath !== undefined && { nativePath }) },
    });
    try {
      await loadWeights(engine, storage, [...graphs.values()], dtype, options.onProgress, packed);
      await checkpoint.checkUnchanged();
      const [{ maxPositionEmbeddings }, { numBlocks: count }] = [config, options];
      const numBlocks = typeof count === 'number' ? count : count(engine.memory().weightBytes);
      const run = { dtype, blockSize, numBlocks, maxPositionEmbeddings };
      const inputs = new ServedInputs(model.stepInputs, graphs, run, engine);
      const sizes = { numBlocks, blockSize, dtype: cacheDType, shownPlaces: options.shownPlaces };
      const shownPlaces = allocateCaches(engine, model, sizes);
      const graphIds = new Map([...graphs].map(([kind, spec]) => [kind, engine.loadGraph(spec)]));
      if (options.largestStep) await reserveSteps(engine, graphIds, inputs, options.largestStep, run);
      const profiler = options.profile ? Profiler.of(open, graphs, blockSize) : undefined;
      return new ModelRunner({
        config,
        dtype,
        blockSize,
        numBlocks,
        blockBytes: blockBytesOf(model, cacheDType, blockSize),
        engine,
        shownPlaces,
        inputs,
        graphs,
        graphIds,
        loadMs: performance.now() - start,
        profiler,
        weightsKept: packed?.keep(engine) ?? Promise.resolve(),
        prefixes: prefixFacts(model.stepInputs),
        adapters: checkpoint.adapters.map(({ name }) => name),
        onPlan: observer('onPlan', options.onPlan),
      });
    } catch (error) {
      engine.dispose();
      throw error;
    }
  }

  /** Settles when what the option `weightsCache` is to keep is written, or could not be. */
  get weightsKept(): Promise<void> {
    return this.#loaded.weightsKept;
  }

  get isa(): string {
    return this.#loaded.engine.isa;
  }

  get threads(): number {
    return this.#loaded.engine.threads;
  }

  /** Bytes that weights, KV cache and intermediate tensors hold. */
  memory(): ReturnType<NativeEngine['memory']> {
    return this.#loaded.engine.memory();
  }

  /** What the machine gives this runner's threads and kernels at most; half a second of measuring. */
  machineLimits(): Promise<MachineLimits> {
    return this.#loaded.engine.measureLimits();
  }

  graphStats(kind: GraphKind): GraphStats {
    return this.#loaded.engine.graphStats(graphIdOf(this.#loaded, kind));
  }

  /** What makes guides of answers ready for this runner's sequences. */
  grammars(vocabulary: GrammarVocabulary): Grammars {
    return new Grammars(this.#loaded.engine, vocabulary);
  }

  /** Gives a sequence a sampler; its draws depend on `options` and its tokens alone. */
  addSequence(sequence: StepSequence, options: SamplerOptions): void {
    this.#samplers.set(sequence, this.#loaded.engine.createSampler(options));
  }

  removeSequence(sequence: StepSequence): void {
    const sampler = this.#samplers.get(sequence);
    this.#samplers.delete(sequence);
    this.#encodings.forget(sequence);
    if (sampler !== undefined) this.#loaded.engine.freeSampler(sampler);
  }

  /** Whether prompts may hold inserts: the model has an encoder of them. */
  get takesInserts(): boolean {
    const { graphs } = this.#loaded;
    return graphs.has(ENCODE) && graphs.has(PREFILL);
  }

  /** Takes tokens back that a sequence's sampler drew last, and tells it others in their place. */
  correctSequence(sequence: StepSequence, wrong: readonly number[], right: readonly number[]): void {
    const sampler = this.#samplers.get(sequence);
    if (sampler === undefined) return;
    this.#loaded.engine.retractTokens(sampler, Int32Array.from(wrong));
    this.#loaded.engine.appendTokens(sampler, Int32Array.from(right));
  }

  /** @throws REQUEST_INVALID for a prompt of so many tokens that shows more than there are places for */
  checkShown(inserts: readonly Insert[], tokens: number): void {
    this.#loaded.shownPlaces?.check(inserts, tokens);
  }

  /** Computes a batch, and before it what its tokens need of the model's encoder. */
  async run(batch: Batch<StepSequence>, options: RunOptions = {}): Promise<BatchResult> {
    const parts = this.#loaded.shownPlaces?.split(batch) ?? [batch];
    const results: BatchResult[] = [];
    for (const part of parts) results.push(await this.#runPart(part, options));
    return joinedResults(results);
  }

  async #runPart(batch: Batch<StepSequence>, { logits = false }: RunOptions): Promise<BatchResult> {
    const { shownPlaces } = this.#loaded;
    const shown = await shownPlaces?.of(batch, (input, place) =>
      this.#run(stepOfInputs([input], [place]), { logits: false }),
    );
    if (!shownPlaces) await this.#encodings.encode(batch, (inputs) => this.encodeInputs(inputs));
    if (batch.copies) await this.#loaded.engine.copyBlocks(Int32Array.from(batch.copies));
    // Nothing is awaited from here to the engine's call: whoever is aborted meanwhile has no sampler any more.
    const rows = samplingRowsOf(batch.entries, (sequence) => this.#samplers.get(sequence));
    const step = stepOfBatch(batch, this.#encodings.inserted(batch), shown);
    const result = await this.#run(step, { ...rows, logits });
    this.#encodings.drop(batch);
    return { ...result, ...newTokensOf(batch.entries, result) };
  }

  /**
   * The original's `forward`: one step of a runner that schedules for itself. Returns logits [rows, vocab] in f32.
   * @throws REQUEST_INVALID when the arrays do not fit together, or not the model and its cache
   */
  async forward(inputs: ForwardInputs): Promise<Tensor<'f32'>> {
    const { logits } = await this.#run(stepOfForward(inputs, this.#forwardLimits), { logits: true });
    return logits as Tensor<'f32'>;
  }

  /**
   * Whole texts through the graph of an encoder: [rows, width] in f32, of each text its first or last row or all of them.
   * A text's rows do not depend on the others.
   * @throws REQUEST_INVALID for a model without that graph, and for texts that are longer than the model's positions
   */
  async encode(texts: readonly EncodedText[], rows: WantedRows): Promise<Tensor<'f32'>> {
    const { logits } = await this.#run(stepOfTexts(texts, rows), { logits: true });
    return logits as Tensor<'f32'>;
  }

  /**
   * Things that are no text through the model's encoders: [rows, width] in f32, one after another.
   * @throws REQUEST_INVALID for a model without one
   */
  async encodeInputs(inputs: readonly EncoderInput[]): Promise<Tensor<'f32'>> {
    return encodedInTurn(inputs, async (alike) => {
      const { logits } = await this.#run(stepOfInputs(alike), { logits: true });
      return logits as Tensor<'f32'>;
    });
  }

  /**
   * One prompt through the prefill graph, with inner tensors by their paths (`layer_0/attn_out`): for experiments and for
   * comparing. `logits` are those of every token, [tokens, vocab]. A graph after passes has fewer tensors to ask for.
   * @throws NATIVE_ERROR for a path that the graph does not have
   */
  async trace(
    tokenIds: Int32Array,
    paths: readonly string[],
  ): Promise<{ readonly tensors: Readonly<Record<string, Tensor>>; readonly logits: Tensor | undefined }> {
    const { engine, inputs, graphs } = this.#loaded;
    const spec = graphs.get(PREFILL);
    if (spec === undefined) return { tensors: {}, logits: undefined };
    const step = stepOfForward(promptInputs(tokenIds, this.blockSize), this.#forwardLimits);
    const { outputs, intermediates } = await engine.forward(spec, inputs.make(step), paths);
    return { tensors: intermediates, logits: outputs[spec.outputs[0] ?? ''] };
  }

  /** Waits for nothing: pending steps settle first, later calls throw ENGINE_DISPOSED. */
  dispose(): void {
    this.#loaded.engine.dispose();
  }

  get #forwardLimits(): ForwardLimits {
    const { embeddingRows = this.config.vocabSize } = this.config;
    const cacheTokens = this.numBlocks * this.blockSize;
    return { vocabSize: embeddingRows, cacheTokens, adapters: this.adapters };
  }

  async #run(
    step: Step,
    options: { samplers?: Int32Array; drafts?: Int32Array; logits: boolean },
  ): Promise<StepResult> {
    const { engine, inputs, onPlan } = this.#loaded;
    const profile = this.profiler !== undefined;
    const id = graphIdOf(this.#loaded, step.kind);
    const startedMs = steadyMs();
    const made = inputs.make(step);
    const calledMs = steadyMs();
    const result = await engine.run(id, made, { ...options, profile });
    if (result.planReason !== undefined) onPlan(step.kind, result.planReason);
    const times = { startedMs, calledMs, endedMs: steadyMs() };
    this.profiler?.add(step.kind, step.queryLens, step.seqLens, result.timings ?? [], times);
    return result;
  }
}
