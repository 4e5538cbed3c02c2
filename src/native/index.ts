import { AtbError } from '../errors.js';
import { distinctGraphs, type GraphSpec } from '../graph/graph-spec.js';
import { isRegisteredOp } from '../graph/ops/index.js';
import type { EngineOptions, KernelTableState, NativeEngine, PlannedInput } from './binding.js';
import { loadBinding } from './load.js';

export type * from './binding.js';
export { KERNEL_TABLES } from './kernel-tables.js';
export { addonCandidates, addonDigest } from './load.js';

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
  const supported = new Set(translated(() => binding.supportedOps()));
  return translating(
    translated(() => new binding.Engine(engineOptions)),
    supported,
  );
}

/** ISAs of this build that this machine can run, best first. */
export function availableIsas(nativePath?: string): string[] {
  return translated(() => loadBinding(nativePath).availableIsas());
}

/** Every kernel table for this kind of CPU, best first, and what this machine lacks for it. */
export function kernelTables(nativePath?: string): KernelTableState[] {
  return translated(() => loadBinding(nativePath).kernelTables());
}

/**
 * What is said of tables whose best one runs on this CPU and was not compiled, as after a move to a newer machine; undefined
 * when the best one is there.
 */
export function betterTableText(tables: readonly KernelTableState[]): string | undefined {
  const best = tables.find(({ missing }) => missing.length === 0);
  if (best === undefined || best.isBuilt) return undefined;
  return `this CPU has ${best.isa}, which this build of the addon leaves out: \`npm run build:native\` makes it faster`;
}

/**
 * Bytes that a step of a graph takes beside its inputs, as the engine would lay them out: it is planned and not run.
 *
 * @throws AtbError NATIVE_MISSING, NATIVE_OP_MISSING, NATIVE_ERROR
 */
export function planGraph(
  spec: GraphSpec,
  inputs: Readonly<Record<string, PlannedInput>>,
  { nativePath, ...options }: CreateEngineOptions,
): number {
  const binding = loadBinding(nativePath);
  const supported = new Set(translated(() => binding.supportedOps()));
  return translated(() => binding.planGraph(spec, inputs, options), missingOp(spec, supported));
}

/** The key of a file that `NativeEngine.writePacked` wrote. @throws AtbError NATIVE_MISSING, PACKED_UNUSABLE */
export function packedKey(file: string, nativePath?: string): string {
  return translated(() => loadBinding(nativePath).packedKey(file));
}

/** Op types that the engine executes, sorted. */
export function supportedOps(nativePath?: string): string[] {
  return translated(() => loadBinding(nativePath).supportedOps());
}

/** The addon's engine, each of whose methods fails with what `translate` makes of its failure. */
function translating(engine: NativeEngine, supported: ReadonlySet<string>): NativeEngine {
  const ofGraphs: Pick<NativeEngine, 'loadGraph' | 'forward'> = {
    loadGraph: (spec) => translated(() => engine.loadGraph(spec), missingOp(spec, supported)),
    forward: (spec, ...rest) =>
      translatedAsync(() => engine.forward(spec, ...rest), missingOp(spec, supported)),
  };
  return new Proxy(engine, {
    get(target, name) {
      if (Object.hasOwn(ofGraphs, name)) return Reflect.get(ofGraphs, name);
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        const result = translated((): unknown => Reflect.apply(member, target, args));
        return result instanceof Promise ? translatedAsync(() => result) : result;
      };
    },
  });
}

/** An unknown op may be one that somebody registered, with nothing native behind it: then the error says that. */
const missingOp =
  (spec: GraphSpec, supported: ReadonlySet<string>): Explanation =>
  (code) => {
    if (code !== 'NATIVE_OP_UNKNOWN') return undefined;
    for (const { name: graph, nodes } of distinctGraphs(spec)) {
      for (const { name: node, op } of nodes) {
        if ('type' in op && isRegisteredOp(op.type) && !supported.has(op.type))
          return new AtbError('NATIVE_OP_MISSING', { graph, node, type: op.type });
      }
    }
    return undefined;
  };

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

/** What the engine finds wrong with a grammar, which came from a request. */
function ofGrammar(nativeCode: string, problem: string): AtbError | undefined {
  if (nativeCode === 'NATIVE_GRAMMAR_NO_ROOM') return new AtbError('GUIDE_NO_ROOM', { reason: problem });
  const isWrong = nativeCode === 'NATIVE_GRAMMAR_INVALID' || nativeCode === 'NATIVE_GRAMMAR_TOO_LARGE';
  return isWrong ? new AtbError('GUIDE_INVALID', { what: 'the grammar', problem }) : undefined;
}

function translate(error: unknown, explain: Explanation): unknown {
  // That the addon is not there is said already.
  if (error instanceof AtbError) return error;
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (!error.code.startsWith('NATIVE_')) return error;
  if (error.code === 'NATIVE_DISPOSED')
    return new AtbError('ENGINE_DISPOSED', { object: 'the engine' }, { cause: error });
  if (error.code === 'NATIVE_PACKED_UNUSABLE')
    return new AtbError('PACKED_UNUSABLE', { reason: error.message }, { cause: error });
  const explained = explain(error.code) ?? ofGrammar(error.code, error.message);
  if (explained) return explained;
  return new AtbError('NATIVE_ERROR', { nativeCode: error.code, reason: error.message }, { cause: error });
}
