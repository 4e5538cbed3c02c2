import type { EdgeTokens } from './edge-tokens.js';
import type { Piece, SentencePieceModel } from './sentencepiece-model.js';

/** The mark that SentencePiece puts in place of a blank. */
const BLANK = '▁';
/** How much less than the least likely piece an unknown character is worth: unigram_model.cc, kUnkPenalty. */
const UNKNOWN_PENALTY = 10;
/** What a user-defined piece is worth in sentencepiece 0.2.3, whatever its file says: it wins nearly always. */
const USER_DEFINED_SCORE = 0;
const f32 = Math.fround;

/** A SentencePiece unigram model, and what its class adds to it. */
export interface UnigramSpec
  extends Pick<SentencePieceModel, 'hasByteFallback' | 'addsDummyPrefix' | 'removesExtraWhitespaces'> {
  readonly pieces: readonly Piece[];
  /** Begin with a blank behind each control token, and not only at the beginning of the text. */
  readonly prefixesEverySegment: boolean;
  readonly edges: EdgeTokens;
}

/**
 * The likeliest pieces of a text, to the last tie, as the library `sentencepiece` 0.2 finds them: it adds scores in f32,
 * and of two ways that then have the same sum takes the one found first. The library `tokenizers` adds in f64.
 */
export class UnigramEncoder {
  readonly spec: UnigramSpec;
  /** Pieces that texts are made of, sorted by UTF-16 units, with their ids and scores. */
  readonly #texts: readonly string[];
  readonly #ids: Int32Array;
  readonly #scores: Float64Array;
  /** Where the pieces begin that begin with a unit. */
  readonly #firstWith: ReadonlyMap<number, number>;
  readonly #unknownId: number;
  readonly #unknownScore: number;
  readonly #idOfByte: readonly number[];

  constructor(spec: UnigramSpec) {
    this.spec = spec;
    const { pieces } = spec;
    const found = pieces
      .map(({ text, type }, id) => ({ text, type, id }))
      .filter(({ type }) => type === 'normal' || type === 'userDefined')
      .sort((left, right) => (left.text < right.text ? -1 : 1));
    this.#texts = found.map(({ text }) => text);
    this.#ids = Int32Array.from(found, ({ id }) => id);
    this.#scores = Float64Array.from(found, ({ id, type }) =>
      type === 'userDefined' ? USER_DEFINED_SCORE : (pieces[id]?.score ?? 0),
    );
    const firstWith = new Map<number, number>();
    for (const [at, text] of this.#texts.entries()) {
      const unit = text.charCodeAt(0);
      if (!firstWith.has(unit)) firstWith.set(unit, at);
    }
    this.#firstWith = firstWith;
    this.#unknownId = pieces.findIndex(({ type }) => type === 'unknown');
    const least = pieces.reduce(
      (score, piece) => (piece.type === 'normal' ? Math.min(score, piece.score) : score),
      Number.MAX_VALUE,
    );
    this.#unknownScore = f32(least - UNKNOWN_PENALTY);
    const idByText = new Map(pieces.map(({ text }, id) => [text, id]));
    this.#idOfByte = Array.from({ length: 256 }, (_, byte) => {
      return idByText.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`) ?? this.#unknownId;
    });
  }

  /** Ids of a text between control tokens whose characters have been replaced; `isFirst`: it begins the whole text. */
  encode(text: string, isFirst: boolean): number[] {
    const { addsDummyPrefix, prefixesEverySegment } = this.spec;
    // Surrogates that stand alone become U+FFFD, as in all UTF-8.
    const marked = this.#markBlanks(Buffer.from(text).toString());
    if (marked === '') return [];
    return this.#likeliest(addsDummyPrefix && (isFirst || prefixesEverySegment) ? BLANK + marked : marked);
  }

  #markBlanks(text: string): string {
    if (!this.spec.removesExtraWhitespaces) return text.replaceAll(' ', BLANK);
    let [from, to] = [0, text.length];
    while (from < to && text[from] === ' ') from++;
    // At the end SentencePiece takes its own mark for a blank.
    while (to > from && (text[to - 1] === ' ' || text[to - 1] === BLANK)) to--;
    return text.slice(from, to).replaceAll(/ +/g, BLANK);
  }

  #likeliest(text: string): number[] {
    const { length } = text;
    // Of the likeliest way to each place: its score, where its last piece begins, and that piece.
    const scores = new Float32Array(length + 1);
    const starts = new Int32Array(length + 1).fill(-1);
    const ids = new Int32Array(length + 1);
    const offer = (end: number, score: number, start: number, id: number): void => {
      if (starts[end] !== -1 && score <= (scores[end] as number)) return;
      scores[end] = score;
      starts[end] = start;
      ids[end] = id;
    };
    for (let at = 0; at < length; ) {
      const end = at + ((text.codePointAt(at) as number) > 0xffff ? 2 : 1);
      const score = scores[at] as number;
      const isCharacterKnown = this.#eachPieceAt(text, at, end, (index, pieceEnd) =>
        offer(pieceEnd, f32((this.#scores[index] as number) + score), at, this.#ids[index] as number),
      );
      if (!isCharacterKnown) offer(end, f32(this.#unknownScore + score), at, this.#unknownId);
      at = end;
    }
    const found: number[] = [];
    for (let end = length; end > 0; end = starts[end] as number) {
      const id = ids[end] as number;
      if (id !== this.#unknownId) found.push(id);
      else if (this.spec.hasByteFallback) {
        const bytes = Buffer.from(text.slice(starts[end], end));
        found.push(...Array.from(bytes, (byte) => this.#idOfByte[byte] as number).reverse());
      } else if (found.at(-1) !== id) found.push(id);
    }
    return found.reverse();
  }

  /** Calls back for each piece that begins at a place, from the shortest. Whether one is just the character there. */
  #eachPieceAt(
    text: string,
    at: number,
    characterEnd: number,
    callback: (index: number, end: number) => void,
  ): boolean {
    let low = this.#firstWith.get(text.charCodeAt(at));
    if (low === undefined) return false;
    let high = this.#bound(low, this.#texts.length, 0, text.charCodeAt(at) + 1);
    let isCharacter = false;
    for (let end = at + 1; low < high; end++) {
      if ((this.#texts[low] as string).length === end - at) {
        callback(low, end);
        isCharacter ||= end === characterEnd;
        low++;
      }
      if (end >= text.length) break;
      const unit = text.charCodeAt(end);
      low = this.#bound(low, high, end - at, unit);
      high = this.#bound(low, high, end - at, unit + 1);
    }
    return isCharacter;
  }

  /** Of pieces that are alike up to `depth`: the first whose unit there is not below `unit`. */
  #bound(from: number, to: number, depth: number, unit: number): number {
    let [low, high] = [from, to];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#texts[middle] as string).charCodeAt(depth) < unit) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
