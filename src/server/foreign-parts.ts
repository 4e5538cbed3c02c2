import { invalidRequest } from './http-error.js';

/** A text, or a part of a message as chat completions have it. */
export type ForeignPart = string | { readonly type: string };

/** Pictures and sound that come by another API than chat completions, and what its clients call each of them. */
export class ForeignParts {
  /** `readsMedia`: whether the model reads anything but text. `names`: for messages about them. */
  constructor(
    private readonly readsMedia: boolean,
    readonly names = new Map<object, string>(),
    private readonly isOfResult = false,
  ) {}

  /** Those of a tool's result: an agent that has looked at a picture could not go on if that were refused. */
  get ofResult(): ForeignParts {
    return new ForeignParts(this.readsMedia, this.names, true);
  }

  /** `url`: a data URL, or where else a picture is. `type`: what the API calls such a part. @throws HttpError */
  image(url: unknown, type: string, place: string): ForeignPart {
    if (typeof url !== 'string') return this.unread(type, place);
    return this.#named({ type: 'image_url', image_url: { url } }, type, place);
  }

  /** `given`: as OpenAI's `input_audio`. @throws HttpError */
  sound(given: unknown, type: string, place: string): ForeignPart {
    return this.#named({ type: 'input_audio', input_audio: given }, type, place);
  }

  /** What is not read: refused, or in a tool's result a text that says so. @throws HttpError */
  unread(type: string, place: string): ForeignPart {
    if (this.isOfResult) return unreadText(type);
    const reads = this.readsMedia
      ? 'text, pictures and sound by their bytes are read'
      : 'this model reads text only';
    throw invalidRequest(`a part of type "${type}": ${reads}`, place);
  }

  #named<T extends { readonly type: string }>(part: T, type: string, place: string): ForeignPart {
    if (!this.readsMedia) return this.unread(type, place);
    this.names.set(part, place);
    return part;
  }
}

/** What a model is told of a part of a tool's result that it does not read. */
export const unreadText = (type: string): string =>
  `[a part of type "${type}", which this model does not read]`;

/** What a message holds: a text where its parts are texts alone, which every chat template knows. */
export function contentOf(parts: readonly ForeignPart[]): unknown {
  if (parts.every((part) => typeof part === 'string')) return parts.join('\n');
  return parts.map((part) => (typeof part === 'string' ? { type: 'text', text: part } : part));
}
