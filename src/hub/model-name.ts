import { refuseRequest } from '../errors.js';

/** A model of a hub, by name, and a branch, tag or commit of it. */
export interface ModelName {
  /** `organisation/model`, or a model without organisation. */
  readonly name: string;
  readonly revision: string;
}

const PART = '[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?';
const NAME = new RegExp(`^(?:${PART}/)?${PART}$`);
const REVISION = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9_-])?$/;
const MAX_LENGTH = 96;

/** `org/model` or `org/model@revision`; the branch `main` when none is named. @throws REQUEST_INVALID */
export function parseModelName(text: string): ModelName {
  const [name = '', revision = 'main', ...more] = typeof text === 'string' ? text.split('@') : [];
  const isGood =
    more.length === 0 &&
    name.length <= MAX_LENGTH &&
    NAME.test(name) &&
    REVISION.test(revision) &&
    !/\.\.|--|\/\//.test(`${name} ${revision}`);
  if (isGood) return { name, revision };
  return refuseRequest('the model', 'the name of a model, as org/name or org/name@revision', text);
}

/** Whether a text that is no folder may be a model's name: only those of an organisation, so that mistyped folders are not. */
export function isModelName(text: string): boolean {
  try {
    return parseModelName(text).name.includes('/');
  } catch {
    return false;
  }
}
