import { createContext, Script } from 'node:vm';

/** Thrown by `runWithin` when time is up. */
export class TimeLimitExceeded extends Error {
  constructor(readonly limitMs: number) {
    super(`took longer than ${limitMs} ms`);
  }
}

/** So often what hardly ran begins anew. */
const MAX_TRIES = 20;

const context = createContext({ run: undefined });
const script = new Script('run()');

/**
 * Calls `run` and stops it, wherever it is, when it takes longer: V8's own termination, which ends regular expressions
 * and loops too, and which no `catch` or `finally` of the stopped code sees. Costs 50 µs; what `run` allocates is not
 * bounded by it.
 *
 * The clock goes on while other processes have the cores. So while this one has computed for less than half of the
 * time, it was not `run` that took it, and `run`, which must bear it, is called again.
 */
export function runWithin<T>(limitMs: number, run: () => T): T {
  const before = process.cpuUsage();
  for (let tries = 1; ; tries++) {
    try {
      return runOnce(limitMs, run);
    } catch (error) {
      if (!(error instanceof TimeLimitExceeded)) throw error;
      const { user, system } = process.cpuUsage(before);
      if ((user + system) / 1000 >= limitMs / 2 || tries === MAX_TRIES) throw error;
    }
  }
}

function runOnce<T>(limitMs: number, run: () => T): T {
  context.run = run;
  try {
    return script.runInContext(context, { timeout: Math.ceil(limitMs) }) as T;
  } catch (error) {
    throw isTimeout(error) ? new TimeLimitExceeded(limitMs) : error;
  } finally {
    context.run = undefined;
  }
}

/** The error belongs to the script's context, so it is no instance of this one's Error. */
function isTimeout(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
  );
}
