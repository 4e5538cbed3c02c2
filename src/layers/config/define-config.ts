import { describeValue } from '../../describe-value.js';
import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { type ArgumentKind, requireArgument } from '../../require-argument.js';
import type { ConfigDict } from './checks.js';
import { ConfigReader, Unreadable, type UnreadKey } from './config-reader.js';
import type { Field } from './fields.js';
import { IRRELEVANT_KEYS } from './irrelevant-keys.js';
import { judgeUnread } from './known-keys.js';

const DEFINITION: ArgumentKind = {
  expected: '{ fields, irrelevant? }, as `{ fields: { ...decoder(LLAMA_DEFAULTS) } }`',
  holds: (value) => isObject(value) && isObject(value.fields),
};

type Fields = Readonly<Record<string, Field<unknown, never>>>;
type Values<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T, never> ? T : never;
};
/** Every field finds the properties that it needs among those of the configuration. */
type NeedsMet<F extends Fields> = { readonly [K in keyof F]: Field<unknown, Values<F>> };

/** What a family's config.json says, by property. */
export interface ConfigDefinition<C> {
  /**
   * Reads a config.json; `file` names it in messages.
   * @throws CONFIG_INVALID that names every problem at once
   */
  read(dict: ConfigDict, file?: string): C & { readonly unreadKeys: readonly UnreadKey[] };
}

/** The configuration that a definition reads: `type MyConfig = ConfigOf<typeof MY_CONFIG>`. */
export type ConfigOf<D> =
  D extends ConfigDefinition<infer C> ? C & { readonly unreadKeys: readonly UnreadKey[] } : never;

/**
 * A family's configuration as data: for each property the field that reads it, with the family's own default, and those
 * keys that change nothing although other families know them, each with the reason.
 */
export function defineConfig<F extends Fields>(definition: {
  readonly fields: F & NeedsMet<F>;
  readonly irrelevant?: Readonly<Record<string, string>>;
}): ConfigDefinition<Values<F>> {
  requireArgument('defineConfig', 'the definition', DEFINITION, definition);
  const { irrelevant = {} } = definition;
  const fields: F = definition.fields;
  return {
    read(dict, file = 'config.json') {
      const problems: string[] = [];
      const json = new ConfigReader(dict, problems);
      const values = readFields(fields, json);
      const unreadKeys: UnreadKey[] = [];
      for (const { key, value } of json.unread()) {
        const verdict = Object.hasOwn(irrelevant, key) ? 'harmless' : judgeUnread(key, value);
        if (verdict === 'unknown') unreadKeys.push({ key, value: describeValue(value) });
        else if (verdict !== 'harmless') {
          problems.push(`${key}: ${verdict.refused}, found ${describeValue(value)}`);
        }
      }
      if (problems.length > 0)
        throw new AtbError('CONFIG_INVALID', { file, problems: [...new Set(problems)] });
      return { ...values, unreadKeys };
    },
  };
}

/** Keys for `irrelevant` that have one reason in common. */
export const keysBecause = (reason: string, ...keys: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(keys.map((key) => [key, reason]));

/**
 * An object of config.json, as a configuration of its own. `irrelevant` are its keys that change nothing, beside those
 * that change nothing anywhere.
 */
export const nested = <F extends Fields>(
  name: string,
  fields: F & NeedsMet<F>,
  irrelevant: readonly string[] = [],
): Field<Values<F>> => ({
  read(json) {
    const section = json.section(name) ?? json.missing(name);
    passOver(section, irrelevant);
    return readFields<F>(fields, section);
  },
});

/**
 * Properties that stand in an object of config.json (transformers 5), or beside it (before, when models that see were
 * models of text with additions). `irrelevant`: see `nested`.
 */
export const within = <F extends Fields>(name: string, fields: F, irrelevant: readonly string[] = []): F =>
  Object.fromEntries(
    Object.entries(fields).map(([property, field]) => [
      property,
      {
        read(json: ConfigReader, config: never) {
          const section = json.section(name);
          if (section) passOver(section, irrelevant);
          return field.read(section ?? json, config);
        },
      } satisfies Field<unknown, never>,
    ]),
  ) as unknown as F;

/** Keys of an object that nobody need read. */
function passOver(section: ConfigReader, irrelevant: readonly string[]): void {
  for (const key of Object.keys(section.dict))
    if (IRRELEVANT_KEYS.has(key) || irrelevant.includes(key)) section.raw(key);
}

/** Reads each field once, when it or a field that needs it is reached. Reports all problems to `json`. */
function readFields<F extends Fields>(fields: F, json: ConfigReader): Values<F> {
  const values = new Map<string, unknown>();
  const unreadable = new Set<string>();
  const reading: string[] = [];

  const property = (name: string): unknown => {
    if (unreadable.has(name)) throw new Unreadable();
    if (values.has(name)) return values.get(name);
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) {
      throw new TypeError(
        `the field ${reading.at(-1)} needs ${name}, which this configuration does not have`,
      );
    }
    if (reading.includes(name))
      throw new TypeError(`fields need each other: ${[...reading, name].join(', ')}`);
    const own: string[] = [];
    reading.push(name);
    try {
      values.set(name, field.read(json.reportingTo(own), config as never));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      unreadable.add(name);
    } finally {
      reading.pop();
      json.problems.push(...own);
    }
    // A field may report a problem and go on, to report others; its value is then of no use.
    if (own.length > 0) unreadable.add(name);
    if (unreadable.has(name)) throw new Unreadable();
    return values.get(name);
  };
  const config: object = new Proxy({}, { get: (_, name) => property(String(name)) });

  for (const name of Object.keys(fields)) {
    try {
      property(name);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
    }
  }
  // In the order of declaration, not of need.
  return Object.fromEntries(Object.keys(fields).map((name) => [name, values.get(name)])) as Values<F>;
}
