import { refuseRequest } from '../../errors.js';
import { type ExpandedPrompt, type ProcessedMedia, placeInserts } from '../../media/index.js';
import type { TextProcessing } from '../../runner/text-processing.js';
import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { checkParts, type MediaPart, refuseKind, takeMedia } from './parts.js';
import { readSource } from './reader.js';

/** Messages for a chat template, and what makes the whole prompt of its tokens. */
export interface ReadMessages {
  readonly messages: readonly ChatMessage[];
  expand(tokens: ArrayLike<number>): ExpandedPrompt;
}

/**
 * Reads the pictures and sounds of messages, one after another, and makes them ready for the model's encoder.
 * `names`: see `takeMedia`.
 * @throws REQUEST_INVALID for a model that reads none, or not of that kind, and for sources that may not be read; MEDIA_*
 */
export async function readMedia(
  given: readonly ChatMessage[],
  { media: processor, allowedLocalMediaPath }: TextProcessing,
  names?: ReadonlyMap<unknown, string>,
): Promise<ReadMessages> {
  const taken = takeMedia(given, names);
  const { messages, parts } = taken;
  const kinds = ['text', ...Object.keys(processor?.placeholders ?? {})];
  if (processor) checkParts(taken, kinds, names);
  const [first] = parts;
  if (first === undefined)
    return { messages: given, expand: (tokens) => ({ tokens: Int32Array.from(tokens), inserts: [] }) };
  if (processor === undefined)
    return refuseRequest(first.field, 'a part of type "text": this model reads nothing else', first.kind);
  const read = async (
    { kind, sources, field, fps }: MediaPart,
    place: number,
    count: number,
  ): Promise<ProcessedMedia> => {
    if (!kinds.includes(kind)) refuseKind(field, kinds, kind);
    const files: Uint8Array[] = [];
    for (const source of sources) files.push(await readSource(source, field, allowedLocalMediaPath));
    return { kind, pieces: await processor.process({ kind, files, fps }, field, place, count) };
  };
  const ready: ProcessedMedia[] = [];
  for (const part of parts) {
    const alike = (all: readonly { readonly kind: string }[]) =>
      all.filter(({ kind }) => kind === part.kind).length;
    ready.push(await read(part, alike(ready), alike(parts)));
  }
  return { messages, expand: (tokens) => placeInserts(tokens, ready, processor) };
}
