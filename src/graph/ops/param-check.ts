import { describeValue } from '../../describe-value.js';
import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { nearestName } from '../../nearest-name.js';
import { ENUM_STRINGS } from '../atb-rules/enum-strings.js';
import type { KeyType, KeyTypes } from '../atb-rules/key-types.js';
import { OP_KEYS } from '../atb-rules/op-keys.js';
import type { OpDefinition } from './definition.js';
import { opOf } from './registry.js';

/** What is wrong with one key of a param. */
export type ParamProblem =
  /** Neither ATB nor the engine has this key. */
  | { readonly kind: 'unknown-key'; readonly key: string; readonly known: readonly string[] }
  | {
      readonly kind: 'value';
      readonly key: string;
      readonly expected: string;
      readonly found: string;
    };

/** The keys that ATB reads of an op type; undefined for an op that ATB does not have. */
export const atbKeysOf = (type: string): KeyTypes | undefined =>
  Object.hasOwn(OP_KEYS, type) ? OP_KEYS[type] : undefined;

/** Problems of a param's keys and values; the keys are ATB's and those that the definition adds. */
export function paramProblems(definition: OpDefinition, param: object): ParamProblem[] {
  const keys: KeyTypes = { ...definition.keys, ...atbKeysOf(definition.type) };
  const problems = blockProblems(param, keys, '');
  if (problems.length > 0) return problems;
  return (definition.lacks?.(param) ?? []).map((lack) => ({ kind: 'value', found: 'nothing', ...lack }));
}

/** Throws GRAPH_OP_UNKNOWN, or GRAPH_PARAM_INVALID with the first problem. */
export function checkParam(opName: string, type: string, param: object): void {
  const definition = opOf(type);
  const [problem] = isObject(param)
    ? paramProblems(definition, param)
    : [{ kind: 'value' as const, key: 'param', expected: 'an object', found: describeValue(param) }];
  if (problem === undefined) return;
  const { kind, key } = problem;
  const isKnown = kind === 'value';
  throw new AtbError('GRAPH_PARAM_INVALID', { op: opName, type, key, isKnown, ...saying(problem) });
}

/** What was expected, and found. */
function saying(problem: ParamProblem): { readonly expected: string; readonly found: string } {
  if (problem.kind === 'value') return { expected: problem.expected, found: problem.found };
  const { key, known } = problem;
  const nearest = nearestName(key, known);
  const expected = known.length === 0 ? 'absent' : `one of ${known.join(', ')}`;
  return { expected, found: `${describeValue(key)}${nearest ? `; nearest: ${nearest}` : ''}` };
}

function blockProblems(block: object, keys: KeyTypes, prefix: string): ParamProblem[] {
  return Object.entries(block).flatMap(([name, value]): ParamProblem[] => {
    const key = `${prefix}${name}`;
    const type = Object.hasOwn(keys, name) ? keys[name] : undefined;
    if (type === undefined) {
      return [{ kind: 'unknown-key', key, known: Object.keys(keys).map((known) => `${prefix}${known}`) }];
    }
    if (isBlock(type) && isObject(value)) return blockProblems(value, type, `${key}.`);
    return fits(type, value)
      ? []
      : [{ kind: 'value', key, expected: expectation(type), found: describeValue(value) }];
  });
}

const isBlock = (type: KeyType): type is KeyTypes => typeof type === 'object' && !Array.isArray(type);

/** The values that a key may have, where they are listed. */
function choices(type: KeyType): readonly (string | number | boolean)[] | undefined {
  if (Array.isArray(type)) return type;
  if (typeof type === 'string' && type.startsWith('enum:'))
    return ENUM_STRINGS[type.slice('enum:'.length)] ?? [];
  return undefined;
}

function fits(type: KeyType, value: unknown): boolean {
  const listed = choices(type);
  if (listed) return listed.some((choice) => choice === value);
  switch (type) {
    case 'bool':
      return typeof value === 'boolean';
    case 'number':
      return Number.isFinite(value);
    case 'numbers':
      return Array.isArray(value) && value.every(Number.isFinite);
    case 'integer':
      return Number.isSafeInteger(value);
    case 'integers':
      return Array.isArray(value) && value.every(Number.isSafeInteger);
    case 'string':
      return typeof value === 'string';
    default:
      return false;
  }
}

function expectation(type: KeyType): string {
  const listed = choices(type);
  if (listed) return `one of ${listed.join(', ')}`;
  switch (type) {
    case 'bool':
      return 'true or false';
    case 'number':
      return 'a number';
    case 'numbers':
      return 'a list of numbers';
    case 'integer':
      return 'an integer';
    case 'integers':
      return 'a list of integers';
    case 'string':
      return 'a string';
    default:
      return 'an object';
  }
}
