import { isObject } from '../is-object.js';
import {
  type ArgumentKind,
  FUNCTION,
  OBJECT,
  optionalArgument,
  refuseArgument,
  requireArgument,
  TEXT,
  whole,
} from '../require-argument.js';

const WEIGHTS: ArgumentKind = {
  expected: 'Weights, as `(await Checkpoint.open(directory)).weights()` gives them',
  holds: (value) => isObject(value) && ['at', 'get', 'path'].every((name) => FUNCTION.holds(value[name])),
};
const CONFIG: ArgumentKind = {
  expected: 'a configuration, as the model that has this step is given it',
  holds: isObject,
};
const PART: ArgumentKind = {
  expected: '{ name, outFeatures }',
  holds: (value) => isObject(value) && TEXT.holds(value.name) && whole(1).holds(value.outFeatures),
};

/** What every layer and linear reads. @throws ARGUMENT_INVALID */
export function requireWeights(call: string, found: unknown): void {
  requireArgument(call, 'the weights', WEIGHTS, found);
}

/** What steps of layers are made of: their family's configuration, and weights. @throws ARGUMENT_INVALID */
export function requireStep(call: string, config: unknown, weights: unknown): void {
  requireArgument(call, 'config', CONFIG, config);
  requireWeights(call, weights);
}

/** The options of `Linear.load`. @throws ARGUMENT_INVALID */
export function requireLinear(call: string, found: unknown): void {
  requireArgument(call, 'the options', OBJECT, found);
  const { parts, inFeatures } = found as Readonly<Record<string, unknown>>;
  if (!Array.isArray(parts) || parts.length === 0)
    refuseArgument(call, 'options.parts', 'a list of at least one { name, outFeatures }', parts);
  for (const [index, part] of parts.entries()) requireArgument(call, `options.parts[${index}]`, PART, part);
  requireArgument(call, 'options.inFeatures', whole(1), inFeatures);
}

/** The options of `ExpertLinear.load`. @throws ARGUMENT_INVALID */
export function requireExperts(call: string, found: unknown): void {
  requireArgument(call, 'the options', OBJECT, found);
  const { name, experts, of } = found as Readonly<Record<string, unknown>>;
  requireArgument(call, 'options.name', TEXT, name);
  requireArgument(call, 'options.experts', whole(1), experts);
  requireArgument(call, 'options.of', FUNCTION, of);
}

const PARTS: ArgumentKind = {
  expected: 'what `await Checkpoint.open(directory)` finds; call that',
  holds: (value) => isObject(value) && Array.isArray(value.files),
};

/** What a checkpoint is made of. @throws ARGUMENT_INVALID */
export function requireParts<P>(found: P): P {
  requireArgument('new Checkpoint', 'its argument', PARTS, found);
  return found;
}

/** The options of `Checkpoint.open`. @throws ARGUMENT_INVALID */
export function requireOpenOptions(found: unknown): void {
  const call = 'Checkpoint.open';
  requireArgument(call, 'the options', OBJECT, found);
  const { config, onWarning } = found as Readonly<Record<string, unknown>>;
  optionalArgument(call, 'options.config', OBJECT, config);
  optionalArgument(call, 'options.onWarning', FUNCTION, onWarning);
}
