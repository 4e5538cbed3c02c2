const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `2.30 GiB`; whole bytes below a KiB. */
export function bytesText(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${unit === 0 ? bytes : (bytes / 2 ** (10 * unit)).toFixed(2)} ${UNITS[unit]}`;
}
