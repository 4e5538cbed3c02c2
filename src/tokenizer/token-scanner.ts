interface TrieNode {
  readonly next: Map<number, TrieNode>;
  isEnd: boolean;
}

/** The characters of words, as the library's regular expressions have them. */
const BEGINS_WITH_WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const ENDS_IN_WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;

/** Finds tokens in a text, from the left, at each place the longest. */
export class TokenScanner {
  readonly #root: TrieNode = { next: new Map(), isEnd: false };
  readonly #words: ReadonlySet<string>;

  /** `words`: those of the tokens that are none within a word ("single_word"). */
  constructor(tokens: Iterable<string>, words: Iterable<string> = []) {
    this.#words = new Set(words);
    for (const token of tokens) {
      let node = this.#root;
      for (let at = 0; at < token.length; at++) {
        const character = token.charCodeAt(at);
        const next = node.next.get(character) ?? { next: new Map(), isEnd: false };
        node.next.set(character, next);
        node = next;
      }
      if (node !== this.#root) node.isEnd = true;
    }
  }

  /** The text with `mark` before every token in it. */
  mark(text: string, mark: string): string {
    return this.#map(text, (_before, token) => mark + token);
  }

  /** Tokens with `mark` before them lose it; the others are mapped. */
  mapUnmarked(text: string, mark: string, change: (token: string) => string): string {
    return this.#map(text, (before, token) => (before.endsWith(mark) ? token : change(token))).replaceAll(
      mark,
      '',
    );
  }

  #map(text: string, change: (before: string, token: string) => string): string {
    const pieces: string[] = [];
    let start = 0;
    for (let at = 0; at < text.length; ) {
      const end = this.longestAt(text, at);
      if (end === at || this.#isWithinWord(text, at, end)) {
        at++;
        continue;
      }
      const before = text.slice(start, at);
      pieces.push(before, change(before, text.slice(at, end)));
      at = end;
      start = end;
    }
    return pieces.join('') + text.slice(start);
  }

  #isWithinWord(text: string, at: number, end: number): boolean {
    if (!this.#words.has(text.slice(at, end))) return false;
    return (
      ENDS_IN_WORD.test(text.slice(Math.max(at - 2, 0), at)) ||
      BEGINS_WITH_WORD.test(text.slice(end, end + 2))
    );
  }

  /** Where the longest token that begins here ends; `at` when none does. */
  longestAt(text: string, at: number): number {
    let longest = at;
    let node = this.#root.next.get(text.charCodeAt(at));
    for (let end = at + 1; node !== undefined; end++) {
      if (node.isEnd) longest = end;
      node = end < text.length ? node.next.get(text.charCodeAt(end)) : undefined;
    }
    return longest;
  }
}
