import { isObject } from '../is-object.js';
import { type ArgumentKind, refuseArgument, requireArgument } from '../require-argument.js';

const RUNNER: ArgumentKind = {
  expected: 'a runner, as `await ModelRunner.load(options)` gives it',
  holds: (value) => isObject(value) && isObject(value.config),
};

/** What computes steps. @throws ARGUMENT_INVALID */
export function requireRunner<R>(call: string, found: R): R {
  requireArgument(call, 'the runner', RUNNER, found);
  return found;
}

/** What a class that is opened by its `load` was made of. `options`: how `load` is called. @throws ARGUMENT_INVALID */
export function requireOpen(made: string, options: string, found: unknown): void {
  const expected = `what ${made}.load opens; call \`await ${made}.load(${options})\``;
  if (!isObject(found) || !('engine' in found))
    refuseArgument(`new ${made}`, 'its argument', expected, found);
}
