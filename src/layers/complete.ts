import { AtbError } from '../errors.js';

/**
 * Throws MODEL_INCOMPLETE when a class of an author lacks what its base class calls. TypeScript says so earlier; in
 * JavaScript it would end in a TypeError somewhere else.
 */
export function requireMember(of: object, member: string, kind: 'function' | 'string' | 'object'): void {
  const found: unknown = Reflect.get(of, member);
  const isThere =
    kind === 'string' ? typeof found === 'string' && found !== '' : typeof found === kind && found;
  if (!isThere) throw new AtbError('MODEL_INCOMPLETE', { className: of.constructor.name, member, kind });
}
