import { createHash, type Hash } from 'node:crypto';
import type { EncoderInput, ExpandedPrompt } from './insert.js';

/** A stretch of what a thing becomes in a prompt: ids of words, or what an encoder reads. */
export type MediaPiece = readonly number[] | EncoderInput;

/** Ids of words, among which texts of special tokens are these. */
export interface EncodeWords {
  (text: string): readonly number[];
  /** The text of an id, also of a special token; absent where there is no tokenizer. */
  readonly textOf?: (id: number) => string;
  /** The text of several, without special tokens; absent where there is no tokenizer. */
  readonly textOfWords?: (ids: readonly number[]) => string;
}

/** The token that a text is; undefined for a text that is none or several. */
export function tokenOf(text: string, encode: EncodeWords): number | undefined {
  const [token, ...others] = encode(text);
  return others.length === 0 ? token : undefined;
}

/** What two neighbours are in one text: their ids, or those of the words that they are together. */
export function joinedWords(left: number, right: number, encode: EncodeWords): readonly number[] | undefined {
  const text = encode.textOf && encode.textOf(left) + encode.textOf(right);
  // Of a part of a letter nothing can be told.
  return text === undefined || text.includes('\u{FFFD}') ? undefined : encode(text);
}

/** What prompts may hold beside text. */
export type MediaKind = 'image' | 'video' | 'audio';

/** The files of one picture, of one video's frames in their order, or of one sound. */
export interface MediaFiles {
  readonly kind: MediaKind;
  readonly files: readonly Uint8Array[];
  /** Frames a second of a video; 2 when absent, as Qwen's processors take them. */
  readonly fps?: number | undefined;
}

export const DEFAULT_FPS = 2;

/** How a family makes of files what its encoder reads. */
export interface MediaProcessor {
  /** The token that stands for each kind in prompts before it is expanded, perhaps the same; kinds without one are not read. */
  readonly placeholders: Readonly<Partial<Record<MediaKind, number>>>;
  /** The token that each row of an encoder gets, for kinds where it is not the placeholder. */
  readonly rowTokens?: Readonly<Partial<Record<MediaKind, number>>>;
  /** Tokens on both sides of a placeholder that give way with it: what stands for the thing has its own. */
  readonly around?: Readonly<Partial<Record<MediaKind, readonly [before: number, behind: number]>>>;
  /** Those tokens' texts, where chat templates may know texts alone: they stand in messages in place of the things. */
  readonly partTexts?: Readonly<Partial<Record<MediaKind, string>>>;
  /**
   * Texts that chat templates print for things and that are no tokens; in a template's source, never in messages, the
   * text of a token takes the place of each.
   */
  readonly templateTexts?: Readonly<Record<string, string>>;
  /** What stands before each dialogue, whatever its template writes; nothing when absent. */
  readonly lead?: string;
  /** Templates by which dialogues with such things are written in place of those of the files. */
  readonly templates?: Readonly<Partial<Record<MediaKind, string>>>;
  /** The tokens that two neighbours would be in one text, of the words before a thing or behind it and what it brings. */
  joins?(left: number, right: number): readonly number[] | undefined;
  /** For models that read all of a prompt as one thing where it shows something: the same tokens, with one insert. */
  asOne?(prompt: ExpandedPrompt): ExpandedPrompt;
  /** For models whose positions follow from all of a prompt: the same tokens and inserts, which say where theirs are. */
  placed?(prompt: ExpandedPrompt): ExpandedPrompt;
  /**
   * What stands in a prompt for a thing, in order. `what` names it in messages: "picture 2 of the prompt"; `place`: how many
   * of its kind stand before it; `count`: how many there are in all. @throws MEDIA_*
   */
  process(media: MediaFiles, what: string, place: number, count: number): Promise<readonly MediaPiece[]>;
}

/** What stands for pictures alone: nothing where a configuration names no token. */
export const forPictures = (token: number | undefined): MediaProcessor['placeholders'] =>
  token === undefined ? {} : { image: token };

/** The key of piece number `index` of what comes of files: a processor makes the same of the same files. */
export function mediaKey({ kind, files, fps = DEFAULT_FPS }: MediaFiles, index = 0): Int32Array {
  const lengths = files.map(({ length }) => length).join(' ');
  const hash = createHash('sha256').update(`${kind} ${index} ${fps} ${lengths}\n`);
  for (const file of files) hash.update(file);
  return wordsOf(hash);
}

/** The key of things that are one with words between them, of all of whose tokens these are the ids. */
export function joinedKey(inputs: readonly EncoderInput[], tokens: Int32Array): Int32Array {
  const hash = createHash('sha256').update(`joined ${inputs.length} ${tokens.length}\n`);
  for (const numbers of [...inputs.map(({ key }) => key), tokens]) hash.update(numbers);
  return wordsOf(hash);
}

function wordsOf(hash: Hash): Int32Array {
  const digest = hash.digest();
  return Int32Array.from({ length: digest.length / 4 }, (_, word) => digest.readInt32LE(4 * word));
}
