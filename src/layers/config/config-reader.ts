import { describeValue } from '../../describe-value.js';
import { isObject } from '../../is-object.js';
import type { Check, ConfigDict, Names } from './checks.js';

/** Thrown where a value cannot be had; its problem has been reported already. */
export class Unreadable extends Error {}

/** A member of config.json that no field has read. */
export interface UnreadKey {
  /** With the names of the objects that hold it: `rope_scaling.alpha`. */
  readonly key: string;
  /** Its value as messages show it, cut when it is long. */
  readonly value: string;
}

/** Reads members of config.json, remembers which, and collects everything that is wrong with them. */
export class ConfigReader {
  constructor(
    readonly dict: ConfigDict,
    readonly problems: string[] = [],
    /** Stands before names in messages: `rope_scaling.`. */
    private readonly prefix = '',
    /** Names of the members that were read, and readers of those that are objects. */
    private readonly known = { read: new Set<string>(), sections: new Map<string, ConfigReader>() },
  ) {}

  /** A reader of the same members that reports to a list of its own. */
  reportingTo(problems: string[]): ConfigReader {
    return new ConfigReader(this.dict, problems, this.prefix, this.known);
  }

  /** The member as it is; undefined when absent. */
  raw(name: string): unknown {
    this.known.read.add(name);
    return Object.hasOwn(this.dict, name) ? this.dict[name] : undefined;
  }

  isNull(name: string): boolean {
    return this.raw(name) === null;
  }

  /** Absent or null. */
  isAbsent(name: string): boolean {
    return (this.raw(name) ?? null) === null;
  }

  /** A member's name with those of the objects that hold it. */
  path(name: string): string {
    return this.prefix + name;
  }

  problem(text: string): void {
    this.problems.push(this.path(text));
  }

  /** Reports what makes the field unreadable. */
  fail(text: string): never {
    this.problem(text);
    throw new Unreadable(text);
  }

  /** Reports that none of the names is there. */
  missing(names: Names): never {
    return this.fail(`${listOfNames(names)[0]} is missing`);
  }

  /** The member under any of the names; undefined when all are absent or null. Fails where it is malformed or contradicts itself. */
  value<T>(names: Names, check: Check<T>): T | undefined {
    const before = this.problems.length;
    const found = listOfNames(names).flatMap((name) => {
      const value = this.optional(name, check);
      return value === undefined ? [] : [{ name, value }];
    });
    if (this.problems.length > before) throw new Unreadable();
    const [first, ...others] = found;
    for (const { name, value } of others) {
      if (!sameMeaning(value, first?.value)) {
        const said = `${describeValue(first?.value)} and ${describeValue(value)}`;
        this.fail(`${first?.name} and ${name} contradict each other: ${said}`);
      }
    }
    return first?.value;
  }

  /** The same, except that a malformed member is reported and then counts as absent. */
  optional<T>(name: string, check: Check<T>): T | undefined {
    return this.check(name, this.raw(name), check);
  }

  /** The same of a value that a field has made from the member. */
  check<T>(name: string, value: unknown, check: Check<T>): T | undefined {
    if (value === undefined || value === null) return undefined;
    const result = check.safeParse(value);
    if (result.success) return result.data;
    this.problem(`${name} ${result.error.issues[0]?.message}, found ${describeValue(value)}`);
    return undefined;
  }

  /** A reader of the object under a name; undefined when it is absent or null. Reports what is no object. */
  section(name: string): ConfigReader | undefined {
    const found = this.raw(name);
    if (found === undefined || found === null) return undefined;
    if (!isObject(found)) {
      this.problem(`${name} must be an object, found ${describeValue(found)}`);
      return undefined;
    }
    const section =
      this.known.sections.get(name)?.reportingTo(this.problems) ??
      new ConfigReader(found, this.problems, `${this.path(name)}.`);
    this.known.sections.set(name, section);
    return section;
  }

  /** Members that nobody has read, also of objects that somebody has; null says nothing and is left out. */
  unread(): { readonly key: string; readonly value: unknown }[] {
    return Object.entries(this.dict).flatMap(([name, value]) => {
      const section = this.known.sections.get(name);
      if (section) return section.unread();
      return this.known.read.has(name) || value === null ? [] : [{ key: this.path(name), value }];
    });
  }
}

const listOfNames = (names: Names): readonly string[] => (typeof names === 'string' ? [names] : names);

/** Whether two values of JSON say the same; the order of an object's members says nothing. */
export function sameMeaning(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((entry, index) => sameMeaning(entry, b[index]));
  if (!isObject(a) || !isObject(b)) return Object.is(a, b);
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => sameMeaning(a[name], b[name]));
}
