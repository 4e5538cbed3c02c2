import { isObject } from '../is-object.js';
import { type ArgumentKind, OBJECT, optionalArgument, requireArgument } from '../require-argument.js';
import { type StopScan, StopStrings } from './stop-strings.js';
import { StreamDecoder, type TokenDecoder } from './stream-decoder.js';

/** When a text ends; `SamplingParams` is one. */
export interface StopOptions {
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly stop: readonly string[];
  readonly stopTokenIds: readonly number[];
  readonly ignoreEos: boolean;
  readonly includeStopStrInOutput: boolean;
  readonly skipSpecialTokens: boolean;
}

export interface OutputPiece {
  /** Text that became certain with this token: never half a character, never the beginning of a stop string. */
  readonly text: string;
  /** Why the text ended with this token. */
  readonly finishReason: 'stop' | 'length' | undefined;
  /** The stop string or the token that ended it. */
  readonly stopReason: string | number | undefined;
}

const DECODER: ArgumentKind = {
  expected: 'a tokenizer, as HfTokenizer.load gives it',
  holds: (value) => OBJECT.holds(value) && typeof (value as { decode: unknown }).decode === 'function',
};
const IDS: ArgumentKind = {
  expected: 'a list of token ids',
  holds: (value) => typeof value === 'object' && value !== null && Symbol.iterator in value,
};
const STOP_OPTIONS: ArgumentKind = {
  expected: 'sampling parameters, as resolveSamplingParams gives them',
  holds: (value) => isObject(value) && IDS.holds(value.stopTokenIds) && IDS.holds(value.stop),
};

/** Says when texts end: end-of-sequence tokens, stop tokens, stop strings, length. MindIE's name. */
export class Postprocessor {
  readonly #decoder: TokenDecoder | undefined;
  readonly #eosTokenIds: ReadonlySet<number>;

  /** Without a decoder there is no text: only tokens and the length end a sequence, and stop strings never match. */
  constructor(decoder: TokenDecoder | undefined, eosTokenIds: Iterable<number>) {
    optionalArgument('new Postprocessor', 'the decoder', DECODER, decoder);
    requireArgument('new Postprocessor', 'eosTokenIds', IDS, eosTokenIds);
    this.#decoder = decoder;
    this.#eosTokenIds = new Set(eosTokenIds);
  }

  get eosTokenIds(): ReadonlySet<number> {
    return this.#eosTokenIds;
  }

  checkEos(token: number): boolean {
    return this.#eosTokenIds.has(token);
  }

  /** Follows one request's tokens. */
  start(options: StopOptions): OutputText {
    return new OutputText(this.#decoder, this.#eosTokenIds, options);
  }
}

/** The text of one request as its tokens come. */
export class OutputText {
  readonly #options: StopOptions;
  readonly #decoder: TokenDecoder | undefined;
  readonly #stopTokens: ReadonlySet<number>;
  readonly #stream: StreamDecoder | undefined;
  readonly #stops: StopStrings;
  #numTokens = 0;

  constructor(decoder: TokenDecoder | undefined, eosTokenIds: ReadonlySet<number>, options: StopOptions) {
    optionalArgument('new OutputText', 'the decoder', DECODER, decoder);
    requireArgument('new OutputText', 'eosTokenIds', IDS, eosTokenIds);
    requireArgument('new OutputText', 'the options', STOP_OPTIONS, options);
    this.#options = options;
    this.#decoder = decoder;
    this.#stopTokens = new Set([...options.stopTokenIds, ...(options.ignoreEos ? [] : eosTokenIds)]);
    this.#stream = decoder && new StreamDecoder(decoder, options);
    this.#stops = new StopStrings(options.stop, options.includeStopStrInOutput);
  }

  /** Takes the next token. After a finish reason there is nothing more to take. */
  push(token: number): OutputPiece {
    const { minTokens, maxTokens, includeStopStrInOutput } = this.#options;
    this.#numTokens++;
    const mayStop = this.#numTokens >= minTokens;
    if (mayStop && this.#stopTokens.has(token)) {
      const text = includeStopStrInOutput ? (this.#stream?.push(token) ?? '') : '';
      return { text: this.#rest(text), finishReason: 'stop', stopReason: token };
    }
    const piece = this.#stream?.push(token) ?? '';
    // What came before minTokens is not searched: a stop string that began there is not one.
    const { text, stop } = mayStop ? this.#search(piece, token) : { text: piece, stop: undefined };
    if (stop !== undefined) return { text, finishReason: 'stop', stopReason: stop };
    if (this.#numTokens < maxTokens) return { text, finishReason: undefined, stopReason: undefined };
    const { text: rest, stop: lastStop } = this.#restOf();
    const finishReason = lastStop === undefined ? 'length' : 'stop';
    return { text: text + rest, finishReason, stopReason: lastStop };
  }

  /** The sequence ended from outside (aborted, failed): what was held back. */
  end(): string {
    return this.#rest('');
  }

  /** Special tokens are searched for stop strings also where the answer's text leaves them out. */
  #search(piece: string, token: number): StopScan {
    const isLeftOut = this.#options.skipSpecialTokens && this.#decoder?.isSpecial(token);
    return isLeftOut
      ? this.#stops.push(this.#decoder?.idToToken(token) ?? '', true)
      : this.#stops.push(piece);
  }

  #rest(piece: string): string {
    return this.#stops.push(piece).text + this.#restOf().text;
  }

  /** Half a character at the end, and what might have become a stop string. */
  #restOf(): { text: string; stop: string | undefined } {
    const { text, stop } = this.#stops.push(this.#stream?.end() ?? '');
    return { text: text + this.#stops.end(), stop };
  }
}
