import { readFileSync } from 'node:fs';
import { refuseRequest } from '../errors.js';
import { formatOf } from '../media/index.js';
import { isFile } from './run-pa-inputs.js';

/** A picture as a part of a message, which JSON can hold. */
export interface PicturePart {
  readonly type: 'image_url';
  readonly image_url: { readonly url: string };
}

/** The file of a picture. `field` names it in messages. @throws REQUEST_INVALID for what is no file */
export function pictureOf(file: string, field: string): PicturePart {
  if (!isFile(file)) refuseRequest(field, 'an existing file', file);
  const bytes = readFileSync(file);
  const url = `data:image/${formatOf(bytes) ?? 'unknown'};base64,${bytes.toString('base64')}`;
  return { type: 'image_url', image_url: { url } };
}

/** What is said: a text, behind pictures if there are any. */
export const contentOf = (text: string, pictures: readonly PicturePart[]): unknown =>
  pictures.length > 0 ? [...pictures, { type: 'text', text }] : text;
