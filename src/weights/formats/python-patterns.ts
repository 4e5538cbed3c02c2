/** Whether a name has what a pattern means. */
export type IsMeant = (name: string) => boolean;

/**
 * A pattern of Python's `re`, as `re.match` applies it: from the start of a name, not to its end; or as `re.search` does,
 * anywhere. Calls `refuse` where JavaScript does not understand it.
 */
export function pythonPattern(pattern: string, where: 'match' | 'search', refuse: () => never): IsMeant {
  try {
    const compiled = new RegExp(where === 'match' ? `^(?:${pattern})` : pattern);
    return (name) => compiled.test(name);
  } catch {
    return refuse();
  }
}
