import { isObject } from '../is-object.js';
import { type ArgumentKind, requireArgument } from '../require-argument.js';

const RUNNER: ArgumentKind = {
  expected: 'a runner, as `await ModelRunner.load(options)` gives it',
  holds: (value) => isObject(value) && isObject(value.config),
};

/** What computes steps. @throws ARGUMENT_INVALID */
export function requireRunner<R>(call: string, found: R): R {
  requireArgument(call, 'the runner', RUNNER, found);
  return found;
}
