import { refuseRequest } from '../../errors.js';
import { isObject } from '../../is-object.js';
import type { MediaKind } from '../../media/index.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';

/** The bytes of a file, or where they are: a data URL, a file URL, a path. */
export type MediaSource = Uint8Array | string;

/** One picture, one sound, or one video as its frames, as a message holds it. */
export interface MediaPart {
  readonly kind: MediaKind;
  readonly sources: readonly MediaSource[];
  /** Frames a second of a video. */
  readonly fps?: number | undefined;
  /** Where it stands: `messages[1].content[0]`. */
  readonly field: string;
}

/** Messages whose parts say no more than of which kind they are, and what they held, in order. */
export interface PartedMessages {
  readonly messages: readonly ChatMessage[];
  readonly parts: readonly MediaPart[];
}

/** Pictures, sounds and frames of one prompt: more would be a mistake or an attack. */
const MAX_SOURCES = 768;
const MAX_FPS = 1000;

/**
 * Takes pictures and sound out of messages. Parts are as OpenAI's clients write them (`image_url`, `input_audio`), as vLLM
 * does (`audio_url`), or as transformers does: `{ type: 'image', image }`, where `image` may also be the bytes of a file;
 * `video` holds a list of frames, `fps` of them a second.
 * `names` has those that are called otherwise than by their place in `messages`.
 * @throws REQUEST_INVALID for a part that holds nothing
 */
export function takeMedia(
  messages: readonly ChatMessage[],
  names?: ReadonlyMap<unknown, string>,
): PartedMessages {
  const parts: MediaPart[] = [];
  if (!Array.isArray(messages)) return { messages, parts };
  const rest = messages.map((message: ChatMessage, index) => {
    if (!isObject(message) || !Array.isArray(message.content)) return message;
    const content = message.content.map((part: unknown, at) => {
      const found = mediaOf(part, names?.get(part) ?? `messages[${index}].content[${at}]`);
      if (found === undefined) return part;
      parts.push(found);
      // Some templates look for the type, others for a key of that name.
      return { type: found.kind, [found.kind]: found.kind };
    });
    return { ...message, content };
  });
  const count = parts.reduce((sum, { sources }) => sum + sources.length, 0);
  if (count > MAX_SOURCES)
    refuseRequest('messages', `at most ${MAX_SOURCES} pictures, frames and sounds`, count);
  return { messages: rest, parts };
}

const MEDIA_KINDS: readonly unknown[] = ['image', 'video', 'audio'] satisfies MediaKind[];

/**
 * Refuses what templates for parts would leave out without a word: parts that are neither text nor media, and texts that are
 * none. `kinds`: what is read instead.
 * @throws REQUEST_INVALID
 */
export function checkParts(
  { messages }: PartedMessages,
  kinds: readonly string[],
  names?: ReadonlyMap<unknown, string>,
): void {
  for (const [index, message] of (Array.isArray(messages) ? messages : []).entries()) {
    const content: unknown = isObject(message) ? message.content : undefined;
    for (const [at, part] of (Array.isArray(content) ? content : []).entries()) {
      const field = names?.get(part) ?? `messages[${index}].content[${at}]`;
      const { type, text } = (isObject(part) ? part : {}) as Record<string, unknown>;
      if (type === 'text' && typeof text !== 'string') refuseRequest(`${field}.text`, 'a text', text);
      if (type !== 'text' && !MEDIA_KINDS.includes(type)) refuseKind(field, kinds, type);
    }
  }
}

/** @throws REQUEST_INVALID */
export const refuseKind = (field: string, kinds: readonly string[], found: unknown): never =>
  refuseRequest(field, `a part of one of ${kinds.join(', ')}, which this model reads`, found);

function mediaOf(part: unknown, field: string): MediaPart | undefined {
  if (!isObject(part)) return undefined;
  const one = (kind: MediaKind, source: unknown): MediaPart => ({
    kind,
    field,
    sources: [sourceOf(source, field)],
  });
  switch (part.type) {
    case 'image':
      return one('image', part.image ?? part.url ?? part.path ?? dataUrlIn(part.base64));
    case 'image_url':
      return one('image', urlOf(part.image_url));
    case 'audio':
      return one('audio', part.audio ?? part.url ?? part.path ?? dataUrlIn(part.base64));
    case 'audio_url':
      return one('audio', urlOf(part.audio_url));
    case 'input_audio':
      return one('audio', isObject(part.input_audio) ? dataUrlIn(part.input_audio.data) : undefined);
    case 'video': {
      const frames = part.video;
      if (!Array.isArray(frames) || frames.length === 0)
        return refuseRequest(field, 'a list of frames as `video`', frames);
      const { fps } = part;
      if (fps !== undefined && !(typeof fps === 'number' && fps > 0 && fps <= MAX_FPS))
        return refuseRequest(`${field}.fps`, `frames a second, above 0 and up to ${MAX_FPS}`, fps);
      return { kind: 'video', field, fps, sources: frames.map((frame) => sourceOf(frame, field)) };
    }
    default:
      return undefined;
  }
}

const sourceOf = (source: unknown, field: string): MediaSource =>
  source instanceof Uint8Array || typeof source === 'string'
    ? source
    : refuseRequest(field, 'the bytes of a file, a data URL or the path of a file', source);

/** OpenAI puts addresses into an object, others do not. */
const urlOf = (given: unknown): unknown => (isObject(given) ? given.url : given);

const dataUrlIn = (given: unknown): unknown => (typeof given === 'string' ? dataUrlOf(given) : undefined);

/**
 * The data URL of base64. Clients of Qwen's own service, and those that translate from one API to another, put a whole one
 * where base64 belongs.
 */
export const dataUrlOf = (given: string, mediaType = ''): string =>
  /^\s*data:/i.test(given) ? given : `data:${mediaType};base64,${given}`;
