/** For foreign code that is told of an end which has come already. */
export function ignoringErrors(work: () => void): void {
  try {
    work();
  } catch {
    // What could be said about it, nobody could act on.
  }
}
