import { availableParallelism } from 'node:os';

/** What the environment may set. The only reader of `process.env`. */
export function environmentOptions(): { readonly nativePath?: string } {
  const nativePath = process.env['ATB_MODELS_NATIVE'];
  return nativePath ? { nativePath } : {};
}

/** Colours and moving progress bars belong on a terminal that wants them. */
export function isInteractive(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}

/** More threads than cores wait for one another: each step takes as long as the slowest of them. */
export function threadWarnings(threads: number | undefined, cores = availableParallelism()): string[] {
  if (threads === undefined || threads <= cores) return [];
  return [
    `--threads ${threads} is more than the ${cores} cores that this process may use, which makes it slower`,
  ];
}
