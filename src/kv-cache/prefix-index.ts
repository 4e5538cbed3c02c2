import { createHash } from 'node:crypto';

/** What a block of the cache holds, and what came before it. */
interface Content {
  readonly digest: string;
  readonly parent: string;
  /** The block's own tokens, and behind them the keys of what they are part of and is no text. */
  readonly tokens: Int32Array;
}

/** The digest before the first block. Sequences of different salts never share a block. */
export function rootDigest(salt: string): string {
  return createHash('sha256').update(salt).digest('base64');
}

/** SHA-256 over the digest of all that came before and a block's own token ids, as little-endian integers. */
export function blockDigest(parent: string, tokens: Int32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * tokens.length));
  for (const [index, token] of tokens.entries()) bytes.setInt32(4 * index, token, true);
  return createHash('sha256').update(parent).update(bytes).digest('base64');
}

/**
 * Full blocks by their content. A block's keys and values depend on all tokens up to its end, so its digest covers them
 * all: it is a chain, as in vLLM's automatic prefix caching. A hit is verified token by token, not trusted.
 */
export class PrefixIndex {
  readonly #blocks = new Map<string, number>();
  readonly #contents = new Map<number, Content>();

  get size(): number {
    return this.#contents.size;
  }

  has(block: number): boolean {
    return this.#contents.has(block);
  }

  /** The block that holds `tokens` after what `parent` stands for. */
  find(digest: string, parent: string, tokens: Int32Array): number | undefined {
    const block = this.#blocks.get(digest);
    const content = block === undefined ? undefined : this.#contents.get(block);
    const isSame =
      content?.parent === parent &&
      content.tokens.length === tokens.length &&
      content.tokens.every((token, index) => token === tokens[index]);
    return isSame ? block : undefined;
  }

  /** Of no effect where another block has that content already: one is enough. */
  add(block: number, digest: string, parent: string, tokens: Int32Array): void {
    if (this.#blocks.has(digest) || this.#contents.has(block)) return;
    this.#blocks.set(digest, block);
    this.#contents.set(block, { digest, parent, tokens });
  }

  delete(block: number): void {
    const content = this.#contents.get(block);
    if (content === undefined) return;
    this.#contents.delete(block);
    this.#blocks.delete(content.digest);
  }
}
