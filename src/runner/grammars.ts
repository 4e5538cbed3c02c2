import { AtbError } from '../errors.js';
import { compileGuide, type Guide } from '../guided/index.js';
import type { NativeEngine } from '../native/index.js';
import type { TokenBytes } from '../tokenizer/token-bytes.js';

/** Grammars that are kept, each with the masks that texts have needed so far. */
const MAX_GRAMMARS = 32;

/** What the grammars of an engine are written in. */
export interface GrammarVocabulary {
  /** Tokens that end a text. */
  readonly ends: readonly number[];
  tokenBytes(): TokenBytes;
}

/** @throws GUIDE_INVALID for a guide that JSON has no words for: integers of any length, circles */
function keyOf(guide: Guide): string {
  try {
    return JSON.stringify(guide);
  } catch (cause) {
    const problem = `must be JSON: ${cause instanceof Error ? cause.message.split('\n', 1)[0] : 'it throws'}`;
    throw new AtbError('GUIDE_INVALID', { what: 'the guide', problem }, { cause });
  }
}

/** Guides made ready for an engine. One that was asked for lately is there already. */
export class Grammars {
  readonly #engine: NativeEngine;
  readonly #vocabulary: GrammarVocabulary;
  #isSet: Promise<void> | undefined;
  /** By the guide as text; those used least recently first. */
  readonly #known = new Map<string, Promise<number>>();

  constructor(engine: NativeEngine, vocabulary: GrammarVocabulary) {
    this.#engine = engine;
    this.#vocabulary = vocabulary;
  }

  /**
   * The engine's id of a guide's grammar, while this thread does other things. The caller uses it before it awaits
   * anything else: a grammar that nobody asked for lately goes when others come.
   * @throws GUIDE_INVALID, GUIDE_UNSUPPORTED, GUIDE_TOO_LARGE
   */
  async compile(guide: Guide): Promise<number> {
    const key = keyOf(guide);
    const compiled = this.#known.get(key) ?? this.#start(guide);
    this.#known.delete(key);
    this.#known.set(key, compiled);
    try {
      return await compiled;
    } catch (error) {
      if (this.#known.get(key) === compiled) this.#known.delete(key);
      throw error;
    }
  }

  async #start(guide: Guide): Promise<number> {
    const spec = compileGuide(guide);
    this.#isSet ??= this.#setVocabulary();
    await this.#isSet;
    this.#forget();
    return this.#engine.compileGrammar(spec);
  }

  #setVocabulary(): Promise<void> {
    const { bytes, offsets } = this.#vocabulary.tokenBytes();
    const ends = this.#vocabulary.ends.filter((token) => token < offsets.length - 1);
    return this.#engine.setVocabulary({ bytes, offsets, ends: Int32Array.from(ends) });
  }

  /** Samplers that use a grammar keep it. */
  #forget(): void {
    for (const [key, compiled] of this.#known) {
      if (this.#known.size < MAX_GRAMMARS) return;
      this.#known.delete(key);
      compiled.then(
        (grammar) => this.#engine.freeGrammar(grammar),
        () => {},
      );
    }
  }
}
