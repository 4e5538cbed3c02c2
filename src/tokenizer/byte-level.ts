/** GPT-2's spelling of bytes: printable ones as themselves, the others from U+0100 on. By byte. */
export const CHARACTER_OF_BYTE: readonly string[] = (() => {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
})();

export const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = new Map(
  CHARACTER_OF_BYTE.map((character, byte) => [character, byte]),
);

/** Bytes as they are spelled. */
export const spelled = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => CHARACTER_OF_BYTE[byte]).join('');
