import type { Tensor } from '../dtype.js';
import { AtbError } from '../errors.js';
import { distinctGraphs, type GraphSpec } from '../graph/graph-spec.js';
import { isRegisteredOp } from '../graph/ops/index.js';
import type {
  EngineOptions,
  ForwardResult,
  GraphStats,
  KvCacheOptions,
  MachineLimits,
  NativeEngine,
  SamplerOptions,
  StepInputs,
  StepOptions,
  StepResult,
  WeightLoad,
} from './binding.js';
import { loadBinding } from './load.js';

export type * from './binding.js';
export { addonCandidates } from './load.js';

export interface CreateEngineOptions extends EngineOptions {
  /** The addon's file; the built or prebuilt one of this package when absent. */
  readonly nativePath?: string;
}

/**
 * An engine whose failures are AtbErrors: NATIVE_ERROR with the engine's own code, ENGINE_DISPOSED after `dispose()`.
 *
 * @throws AtbError NATIVE_MISSING, NATIVE_ERROR (unknown ISA, thread count out of range)
 */
export function createEngine(options: CreateEngineOptions): NativeEngine {
  const { nativePath, ...engineOptions } = options;
  const binding = loadBinding(nativePath);
  const engine = translated(() => new binding.Engine(engineOptions));
  return new Engine(engine, new Set(binding.supportedOps()));
}

/** ISAs that this machine can run, best first. */
export function availableIsas(nativePath?: string): string[] {
  return loadBinding(nativePath).availableIsas();
}

/** Op types that the engine executes, sorted. */
export function supportedOps(nativePath?: string): string[] {
  return loadBinding(nativePath).supportedOps();
}

/** The addon's engine with its errors translated. */
class Engine implements NativeEngine {
  constructor(
    private readonly native: NativeEngine,
    private readonly supported: ReadonlySet<string>,
  ) {}

  get isa(): string {
    return this.native.isa;
  }
  get threads(): number {
    return this.native.threads;
  }
  loadWeights(
    weights: readonly WeightLoad[],
    onProgress?: (loadedBytes: number, totalBytes: number) => void,
  ): Promise<void> {
    return translatedAsync(() => this.native.loadWeights(weights, onProgress));
  }
  setTensor(name: string, tensor: Tensor): void {
    translated(() => this.native.setTensor(name, tensor));
  }
  exportTensor(name: string): Tensor {
    return translated(() => this.native.exportTensor(name));
  }
  allocateKvCache(options: KvCacheOptions): number {
    return translated(() => this.native.allocateKvCache(options));
  }
  loadGraph(spec: GraphSpec): number {
    return translated(() => this.native.loadGraph(spec), this.#missingOp(spec));
  }
  unloadGraph(graph: number): void {
    translated(() => this.native.unloadGraph(graph));
  }
  graphStats(graph: number): GraphStats {
    return translated(() => this.native.graphStats(graph));
  }
  createSampler(options: SamplerOptions): number {
    return translated(() => this.native.createSampler(options));
  }
  appendTokens(sampler: number, tokens: Int32Array): void {
    translated(() => this.native.appendTokens(sampler, tokens));
  }
  freeSampler(sampler: number): void {
    translated(() => this.native.freeSampler(sampler));
  }
  run(graph: number, inputs: StepInputs, options?: StepOptions): Promise<StepResult> {
    return translatedAsync(() => this.native.run(graph, inputs, options));
  }
  forward(spec: GraphSpec, inputs: StepInputs, intermediates?: readonly string[]): Promise<ForwardResult> {
    return translatedAsync(() => this.native.forward(spec, inputs, intermediates), this.#missingOp(spec));
  }
  measureLimits(): Promise<MachineLimits> {
    return translatedAsync(() => this.native.measureLimits());
  }
  memory(): ReturnType<NativeEngine['memory']> {
    return translated(() => this.native.memory());
  }
  dispose(): void {
    this.native.dispose();
  }

  /** An unknown op may be one that somebody registered, with nothing native behind it: then the error says that. */
  readonly #missingOp =
    (spec: GraphSpec): Explanation =>
    (code) => {
      if (code !== 'NATIVE_OP_UNKNOWN') return undefined;
      for (const { name: graph, nodes } of distinctGraphs(spec)) {
        for (const { name: node, op } of nodes) {
          if ('type' in op && isRegisteredOp(op.type) && !this.supported.has(op.type))
            return new AtbError('NATIVE_OP_MISSING', { graph, node, type: op.type });
        }
      }
      return undefined;
    };
}

/** A better error than NATIVE_ERROR for one of the engine's codes, if there is one. */
type Explanation = (nativeCode: string) => AtbError | undefined;

const NO_EXPLANATION: Explanation = () => undefined;

function translated<T>(call: () => T, explain = NO_EXPLANATION): T {
  try {
    return call();
  } catch (error) {
    throw translate(error, explain);
  }
}

/** Awaits here, so that the caller's stack is in the error although the engine failed on its own thread. */
async function translatedAsync<T>(call: () => Promise<T>, explain = NO_EXPLANATION): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw translate(error, explain);
  }
}

function translate(error: unknown, explain: Explanation): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (!error.code.startsWith('NATIVE_')) return error;
  if (error.code === 'NATIVE_DISPOSED')
    return new AtbError('ENGINE_DISPOSED', { object: 'the engine' }, { cause: error });
  const explained = explain(error.code);
  if (explained) return explained;
  return new AtbError('NATIVE_ERROR', { nativeCode: error.code, reason: error.message }, { cause: error });
}
