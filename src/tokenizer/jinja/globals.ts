import { bind, requiredText, wholeOf } from './arguments.js';
import { fromKeys } from './attributes.js';
import { type Budget, MAX_ITEMS, TemplateExcess } from './budget.js';
import { isTrue, iterate } from './iteration.js';
import { strftime } from './strftime.js';
import { toText } from './text.js';
import {
  type CallArguments,
  Callable,
  Dict,
  Namespace,
  Range,
  TemplateRefusal,
  TemplateRuntimeError,
  Undefined,
  type Value,
} from './values.js';

const MAX_REASON_LEN = 1000;
const MAX_FORMAT_LEN = 256;

/** Jinja's global functions, and transformers' `raise_exception` and `strftime_now`. */
export function globalFunctions(budget: Budget, now: Date): ReadonlyMap<string, Value> {
  const functions: Readonly<Record<string, (args: CallArguments) => Value>> = {
    range: (args) => range(args),
    dict: (args) => new Dict(pairsOf(args, budget)),
    namespace: (args) => {
      const made = new Namespace();
      for (const [key, value] of pairsOf(args, budget)) made.attributes.set(toText(key, budget), value);
      for (const name of made.attributes.keys()) checkAttribute(name);
      return made;
    },
    raise_exception: (args) => {
      const { message = null } = bind('raise_exception', args, 'message');
      throw new TemplateRefusal(toText(message, budget).slice(0, MAX_REASON_LEN));
    },
    strftime_now: (args) => {
      const format = requiredText(bind('strftime_now', args, 'format').format, budget);
      if (format.length > MAX_FORMAT_LEN)
        throw new TemplateExcess('characters of a date format', MAX_FORMAT_LEN);
      return strftime(now, format);
    },
    cycler,
    joiner: (args) => joiner(args, budget),
  };
  const attributes: Readonly<Record<string, ReadonlyMap<string, Value>>> = {
    dict: new Map([['fromkeys', new Callable('fromkeys', (args) => fromKeys(args, budget))]]),
  };
  const callables = Object.entries(functions).map(
    ([name, call]) => [name, new Callable(name, call, attributes[name])] as const,
  );
  // `self` has a template's blocks, and chat templates have none.
  return new Map<string, Value>([...callables, ['self', new Namespace()]]);
}

/** transformers refuses attributes of namespaces that begin with an underscore. */
export function checkAttribute(name: string): void {
  if (name.startsWith('_'))
    throw new TemplateRuntimeError(`a namespace cannot have the underscore-prefixed attribute '${name}'`);
}

/** What `dict()` takes: a mapping or pairs, and keywords. */
function pairsOf({ positional, keyword }: CallArguments, budget: Budget): (readonly [Value, Value])[] {
  const [source] = positional;
  if (positional.length > 1)
    throw new TemplateRuntimeError(`dict expected at most 1 argument, got ${positional.length}`);
  const given =
    source === undefined
      ? []
      : source instanceof Dict
        ? source.entries()
        : iterate(source instanceof Undefined ? source.fail() : source, budget).map((pair) => {
            const [key, value, ...rest] = iterate(pair, budget);
            if (key === undefined || value === undefined || rest.length > 0)
              throw new TemplateRuntimeError('dictionary update sequence element has no length of 2');
            return [key, value] as const;
          });
  budget.payItems(given.length + keyword.size);
  return [...given, ...keyword];
}

function range(args: CallArguments): Range {
  const { first, second, step } = bind('range', args, 'first', 'second?', 'step?');
  const stride = BigInt(wholeOf(step, 1));
  if (stride === 0n) throw new TemplateRuntimeError('range() arg 3 must not be zero');
  const [start, stop] =
    second === undefined ? [0, wholeOf(first, 0)] : [wholeOf(first, 0), wholeOf(second, 0)];
  const made = new Range(BigInt(start), BigInt(stop), stride);
  if (made.length > MAX_ITEMS) throw new TemplateExcess('numbers of a range', MAX_ITEMS);
  return made;
}

/** An object that goes round its items: `next()`, `reset()`, `current`. */
function cycler({ positional }: CallArguments): Callable {
  if (positional.length === 0) throw new TemplateRuntimeError('at least one item has to be provided');
  let at = 0;
  const attributes = new Map<string, Value>();
  const show = (): Value => {
    const current = positional[at] as Value;
    attributes.set('current', current);
    return current;
  };
  const made = new Callable('cycler', () => null, attributes);
  attributes.set(
    'next',
    new Callable('next', () => {
      const current = show();
      at = (at + 1) % positional.length;
      show();
      return current;
    }),
  );
  attributes.set(
    'reset',
    new Callable('reset', () => {
      at = 0;
      show();
      return null;
    }),
  );
  show();
  return made;
}

/** A function that gives nothing the first time, and then always the separator. */
function joiner(args: CallArguments, budget: Budget): Callable {
  const { sep = ', ' } = bind('joiner', args, 'sep?');
  let isFirst = true;
  return new Callable('joiner', () => {
    const text = isFirst ? '' : toText(sep, budget);
    isFirst = false;
    return isTrue(text) ? text : '';
  });
}
