import type { ErrorCode, ErrorDetail } from '../errors.js';
import type { LinkOptions } from '../weights/regular-file.js';
import type { OpenRequest } from './open-request.js';
import type { PreparedTokenizer } from './prepared-tokenizer.js';
import type { Truncation } from './tokenizer-options.js';

/** Reads the files of a model directory, makes a tokenizer of them, and opens it. */
export interface LoadRequest {
  readonly kind: 'load';
  readonly dir: string;
  readonly links: LinkOptions;
  /** Texts are lowercased before anything else. */
  readonly lowercase: boolean;
  /** Of the tokenizer that the files came to before; when they come to another one now, that is an error. */
  readonly digest?: string;
}

export interface EncodeRequest {
  readonly kind: 'encode';
  readonly text: string;
  /** Types are wanted, too; what is told here is about texts that get them. */
  readonly typed?: {
    /** The second text of a pair. */
    readonly pair: string | undefined;
    /** Where longer ones are cut; nowhere when absent. */
    readonly truncation: Truncation | undefined;
  };
  /** Put around the text what the tokenizer puts around one. */
  readonly addSpecialTokens: boolean;
  /**
   * Undefined: control tokens' texts are those tokens. A string: where it stands before one, that is mere text.
   * `null`: all of them are mere text.
   */
  readonly mark: string | null | undefined;
  /** Control tokens that the model makes of mere text stay, where they are otherwise spelled out. */
  readonly keepsOwn?: boolean;
}

/** What the encoder's process is asked for. */
export type EncoderRequest = OpenRequest | LoadRequest | EncodeRequest;

/** Why there is no answer. */
export type EncoderProblem =
  /** The tokenizer cannot do it: the library's own message. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The pattern of this index does not compile. */
  | { readonly kind: 'pattern'; readonly index: number; readonly message: string }
  /** It took too long, and its process was ended. */
  | { readonly kind: 'slow' }
  /** Its process ended by itself. */
  | { readonly kind: 'died'; readonly message: string }
  /** An error of ours. */
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly detail: ErrorDetail<ErrorCode> };

/** What `load` made of the files. */
export interface LoadedTokenizer {
  readonly prepared: PreparedTokenizer;
  readonly digest: string;
}

/** Ids of a text, and where they were wanted types; none for `open` and `load`. */
export type EncoderReply =
  | {
      readonly ids: Uint32Array;
      readonly types?: Uint32Array;
      readonly loaded?: LoadedTokenizer;
      readonly problem?: undefined;
    }
  | { readonly problem: EncoderProblem };

/** From the main thread to the relay. */
export type RelayMessage =
  | { readonly kind: 'close'; readonly tokenizer: number }
  | {
      readonly kind: 'call';
      readonly call: number;
      readonly tokenizer: number;
      readonly request: EncoderRequest;
      readonly limitMs: number;
      /** Set and notified when the reply was posted, for a caller that blocks. */
      readonly signal: Int32Array | undefined;
    };

/** From the relay to the main thread. */
export interface RelayReply {
  readonly call: number;
  readonly reply: EncoderReply;
}

/** From the relay to the encoder's process. */
export type ServerMessage =
  | { readonly kind: 'close'; readonly tokenizer: number }
  | { readonly kind: 'request'; readonly tokenizer: number; readonly request: EncoderRequest };
