import type { MacroDefinition } from './nodes.js';
import { type CallArguments, Dict, TemplateRuntimeError, Tuple, Undefined, type Value } from './values.js';

/** What a macro takes besides its parameters; it must mention it to get it. */
export interface MacroFeatures {
  readonly caller: boolean;
  readonly kwargs: boolean;
  readonly varargs: boolean;
}

export function macroFeatures({ body }: MacroDefinition): MacroFeatures {
  return {
    caller: mentions(body, 'caller'),
    kwargs: mentions(body, 'kwargs'),
    varargs: mentions(body, 'varargs'),
  };
}

function mentions(node: unknown, name: string): boolean {
  if (typeof node !== 'object' || node === null) return false;
  if (Array.isArray(node)) return node.some((item) => mentions(item, name));
  if ('kind' in node && node.kind === 'name' && 'name' in node && node.name === name) return true;
  return Object.values(node).some((item) => mentions(item, name));
}

/** The macro's names with the values of a call; undefined for those that the call leaves out. */
export function bindMacro(
  { name, parameters }: MacroDefinition,
  features: MacroFeatures,
  { positional, keyword }: CallArguments,
): [string, Value | undefined][] {
  const rest = new Map(keyword);
  const bound: [string, Value | undefined][] = parameters.map((parameter, index) => {
    // By place and by name: the name is one keyword too many.
    if (index < positional.length) return [parameter.name, positional[index]];
    const given = rest.get(parameter.name);
    rest.delete(parameter.name);
    return [parameter.name, given];
  });
  const hasOwnCaller = parameters.some((parameter) => parameter.name === 'caller');
  if (features.caller && !hasOwnCaller) {
    bound.push(['caller', rest.get('caller') ?? new Undefined('No caller defined')]);
    rest.delete('caller');
  }
  if (features.kwargs) bound.push(['kwargs', new Dict(rest)]);
  else {
    const [unknown] = rest.keys();
    if (unknown === 'caller')
      throw new TemplateRuntimeError(
        `macro '${name}' was invoked with two values for the special caller argument or takes none`,
      );
    if (unknown !== undefined)
      throw new TemplateRuntimeError(`macro '${name}' takes no keyword argument '${unknown}'`);
  }
  if (features.varargs) bound.push(['varargs', new Tuple(positional.slice(parameters.length))]);
  else if (positional.length > parameters.length)
    throw new TemplateRuntimeError(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
  return bound;
}
