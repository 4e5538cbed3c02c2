/** What the environment may set. The only reader of `process.env`. */
export function environmentOptions(): { readonly nativePath?: string } {
  const nativePath = process.env['ATB_MODELS_NATIVE'];
  return nativePath ? { nativePath } : {};
}

/** Colours and moving progress bars belong on a terminal that wants them. */
export function isInteractive(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}
