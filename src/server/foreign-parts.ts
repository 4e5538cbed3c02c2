import { invalidRequest } from './http-error.js';

/** A text, or a part of a message as chat completions have it. */
export type ForeignPart = string | { readonly type: string };

/** Pictures and sound that come by another API than chat completions, and what its clients call each of them. */
export class ForeignParts {
  /** For messages about them. */
  readonly names = new Map<object, string>();

  /** `readsMedia`: whether the model reads anything but text. */
  constructor(private readonly readsMedia: boolean) {}

  /** `url`: a data URL, or where else a picture is. `type`: what the API calls such a part. @throws HttpError */
  image(url: unknown, type: string, place: string): ForeignPart {
    if (typeof url !== 'string') throw this.refusal(type, place);
    return this.#named({ type: 'image_url', image_url: { url } }, type, place);
  }

  /** `given`: as OpenAI's `input_audio`. @throws HttpError */
  sound(given: unknown, type: string, place: string): ForeignPart {
    return this.#named({ type: 'input_audio', input_audio: given }, type, place);
  }

  /** What is said of a part that is not read. */
  refusal(type: string, place: string): Error {
    const reads = this.readsMedia
      ? 'text, pictures and sound by their bytes are read'
      : 'this model reads text only';
    return invalidRequest(`a part of type "${type}": ${reads}`, place);
  }

  #named<T extends { readonly type: string }>(part: T, type: string, place: string): T {
    if (!this.readsMedia) throw this.refusal(type, place);
    this.names.set(part, place);
    return part;
  }
}

/** What a message holds: a text where its parts are texts alone, which every chat template knows. */
export function contentOf(parts: readonly ForeignPart[]): unknown {
  if (parts.every((part) => typeof part === 'string')) return parts.join('\n');
  return parts.map((part) => (typeof part === 'string' ? { type: 'text', text: part } : part));
}
