const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs work that must clean up behind itself: a signal aborts it, and the process ends by that signal when it is done.
 * A second signal ends the process at once.
 */
export async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const stop = (name: NodeJS.Signals): void => {
    received = name;
    release();
    controller.abort();
  };
  const release = (): void => {
    for (const name of SIGNALS) process.off(name, stop);
  };
  for (const name of SIGNALS) process.on(name, stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (received === undefined) throw error;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.kill(process.pid, received);
    // The signal arrives in a moment; nothing else may be said until then.
    return await new Promise(() => setTimeout(() => process.exit(1), 1000));
  } finally {
    release();
  }
}
