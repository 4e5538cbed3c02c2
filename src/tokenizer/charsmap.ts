/** The longest replacement in Unicode's own tables has 33 bytes. */
const MAX_REPLACEMENT_BYTES = 256;
/** SentencePiece looks at this many matches of increasing length. */
const MAX_MATCHES = 32;

/** A SentencePiece model's `precompiled_charsmap`, and the texts that it lets stand: those of user-defined pieces. */
export interface CharsmapSource {
  /** In base64; empty where no characters are replaced. */
  readonly table: string;
  /**
   * Whether blanks at the beginning are removed here: where the library does it, it no longer knows what was the
   * beginning of the text.
   */
  readonly trims: boolean;
  readonly kept: readonly string[];
}

/**
 * The characters that a SentencePiece model replaces before all else: a double-array trie (as the library darts-clone
 * stores it) from UTF-8 texts to places of their replacements, which end with a zero byte. At each place of a text the
 * longest match is replaced, unless a text that is kept begins there. The library `tokenizers` has the same tables,
 * but looks up grapheme clusters, which gives other texts where a mark follows a character that is replaced.
 */
export class Charsmap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  /** By their first bytes, the longest first. */
  readonly #kept = new Map<number, Buffer[]>();
  readonly #trims: boolean;

  /** @throws Error when the trie reaches beyond the bytes */
  constructor({ table, kept, trims }: CharsmapSource) {
    this.#trims = trims;
    const bytes = Buffer.from(table, 'base64');
    const texts = kept.map((text) => Buffer.from(text)).sort((left, right) => right.length - left.length);
    for (const text of texts) {
      const first = text[0] ?? 0;
      this.#kept.set(first, [...(this.#kept.get(first) ?? []), text]);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = bytes.length < 4 ? 0 : view.getUint32(0, true);
    if (table !== '' && (size === 0 || size % 4 !== 0 || size > bytes.length - 4))
      throw new Error(`precompiled_charsmap of ${bytes.length} bytes has a trie of ${size} bytes`);
    this.#units = Uint32Array.from({ length: size / 4 }, (_, index) => view.getUint32(4 + 4 * index, true));
    this.#replacements = bytes.subarray(4 + size);
  }

  /** @throws Error when a replacement does not end */
  replace(text: string): string {
    const replaced = this.#replaced(text);
    return this.#trims ? replaced.replace(/^ +/, '') : replaced;
  }

  #replaced(text: string): string {
    const bytes = Buffer.from(text);
    const pieces: Uint8Array[] = [];
    let kept = 0;
    for (let at = 0; at < bytes.length; ) {
      const stays = this.#kept
        .get(bytes[at] ?? 0)
        ?.find((one) => one.equals(bytes.subarray(at, at + one.length)));
      if (stays !== undefined) {
        at += stays.length;
        continue;
      }
      const match = this.#longestAt(bytes, at);
      if (match === undefined) {
        at += lengthOfCharacter(bytes[at] ?? 0);
        continue;
      }
      pieces.push(bytes.subarray(kept, at), this.#replacementAt(match.value));
      at += match.length;
      kept = at;
    }
    return kept === 0 ? text : Buffer.concat([...pieces, bytes.subarray(kept)]).toString();
  }

  #longestAt(
    bytes: Uint8Array,
    from: number,
  ): { readonly length: number; readonly value: number } | undefined {
    let found: { length: number; value: number } | undefined;
    let [node, matches] = [0, 0];
    let unit = this.#units[0] ?? 0;
    for (let at = from; at < bytes.length && matches < MAX_MATCHES; at++) {
      const byte = bytes[at] ?? 0;
      node ^= offsetOf(unit) ^ byte;
      const next = this.#units[node];
      // A unit's label is its lowest byte; the highest bit tells values from units.
      if (next === undefined || (next & 0x800000ff) !== byte) return found;
      unit = next;
      if (((unit >>> 8) & 1) === 0) continue;
      const leaf = this.#units[node ^ offsetOf(unit)];
      if (leaf === undefined) return found;
      found = { length: at + 1 - from, value: leaf & 0x7fffffff };
      matches++;
    }
    return found;
  }

  #replacementAt(start: number): Uint8Array {
    const end = this.#replacements.subarray(start, start + MAX_REPLACEMENT_BYTES).indexOf(0);
    if (end < 0) throw new Error(`precompiled_charsmap has no replacement at ${start}`);
    return this.#replacements.subarray(start, start + end);
  }
}

/** From a node to the place of its children. */
function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function lengthOfCharacter(first: number): number {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
