import { refuseRequest } from '../errors.js';
import { atLeast, number, text } from './flag-rows.js';

/** `32-128`, or one number. */
function readRange(value: string, name: string): { readonly min: number; readonly max: number } {
  const [, low = '', high = low] = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(value) ?? [];
  const [min, max] = [Number(low), Number(high)];
  if (low === '' || min < 1 || max < min) refuseRequest(`--${name}`, 'a length or a range, as 32-512', value);
  return { min, max };
}

function readRate(value: string, name: string): number {
  const rate = value === 'inf' ? Number.POSITIVE_INFINITY : Number(value);
  return rate > 0 ? rate : refuseRequest(`--${name}`, 'a number above 0, or inf', value);
}

/** Flags of `bench-serve`. Prompts are words, as a server need not say how it makes tokens. */
export const LOAD = {
  base_url: text('baseUrl', 'where the server is', { default: 'http://127.0.0.1:8000/v1' }),
  requests: number('requests', 'how many', { default: 64, read: atLeast(1) }),
  rate: text('rate', 'of them a second, with the gaps of a Poisson process; inf: all at once', {
    default: 'inf',
    read: readRate,
  }),
  prompt_len: text('promptWords', 'words of a prompt, each about a token', {
    default: '32-512',
    read: readRange,
  }),
  output_len: text('outputTokens', 'tokens of an answer', { default: '32-128', read: readRange }),
  shared_prefix: number('sharedWords', 'further words with which all prompts begin', {
    default: 0,
    read: atLeast(0),
  }),
};
