import { isObject } from '../../is-object.js';
import { ConfigFields } from './config-fields.js';
import type { FormatSource } from './format.js';
import { patternRefusal, pythonPattern } from './python-patterns.js';
import { linearsWith } from './small-tensors.js';

type Dict = Readonly<Record<string, unknown>>;

/** What a configuration says of some linears. */
export interface ModuleConfig {
  /** Where it says so: `"dynamic.-:.*mlp"`. */
  readonly says: string;
  /** What it says of all linears, with what differs for these; undefined where they stay floats. */
  readonly fields: ConfigFields | undefined;
}

/** Says what differs for a linear, by its name in the files; undefined where nothing does. */
export type ModuleOverrides = (linear: string) => ModuleConfig | undefined;

/**
 * `dynamic` of gptqmodel: patterns from the start of names. Behind "-:" stand linears that stay floats, behind "+:" or
 * nothing those that differ. The first one counts that fits (`dynamic_get`). Throws WEIGHT_QUANT_DESCRIPTION.
 */
export function dynamicOverrides(source: FormatSource, config: Dict): ModuleOverrides {
  const rules = rulesOf(source, config, 'dynamic', (name) => name.startsWith('-:')).map((rule) => ({
    ...rule,
    isMeant: pythonPattern(rule.name.replace(/^[-+]:/, ''), 'match', rule.refuse),
  }));
  return (linear) => rules.find(({ isMeant }) => isMeant(linear));
}

/** With so many bits numbers are floats. */
const FLOAT_BITS = 16;

/**
 * `extra_config` of auto-round: names of linears, and patterns anywhere in names, with what differs there. Names count
 * before patterns (`_expand_regex_config`). Throws WEIGHT_QUANT_DESCRIPTION.
 */
export function extraOverrides(source: FormatSource, config: Dict): ModuleOverrides {
  const isFloat = (_: string, { bits }: Dict) => typeof bits === 'number' && bits >= FLOAT_BITS;
  const rules = rulesOf(source, config, 'extra_config', isFloat);
  const names = new Map(rules.map((rule) => [rule.name, rule]));
  const patterns = rules
    .filter(({ name }) => !isModule(source, name))
    .map((rule) => ({ ...rule, isMeant: pythonPattern(rule.name, 'search', rule.refuse) }));
  return (linear) => names.get(linear) ?? patterns.find(({ isMeant }) => isMeant(linear));
}

/**
 * The linears that have integers in words (`qweight`), and what is said of each. Throws WEIGHT_QUANT_CONTRADICTION where one
 * should be floats.
 */
export function packedLinears(
  source: FormatSource,
  common: ConfigFields,
  overrides: ModuleOverrides,
): ReadonlyMap<string, ConfigFields> {
  const linears = new Map<string, ConfigFields>();
  for (const name of linearsWith(source, 'qweight')) {
    const own = overrides(name) ?? { says: '', fields: common };
    linears.set(
      name,
      own.fields ?? common.contradict(`${own.says} that it stays as it is`, name, 'has qweight'),
    );
  }
  return linears;
}

const MODULE_SUFFIXES = ['weight', 'qweight'] as const;

/** Whether a key is the name of a module; where the files are not looked at, what could be one is. */
const isModule = ({ tensors }: FormatSource, name: string): boolean =>
  tensors ? MODULE_SUFFIXES.some((suffix) => tensors.has(`${name}.${suffix}`)) : /^[\w.]+$/.test(name);

interface Rule extends ModuleConfig {
  readonly name: string;
  refuse(): never;
}

/** The rules under `key` of the configuration, an object of objects. */
function rulesOf(
  source: FormatSource,
  config: Dict,
  key: string,
  isFloat: (name: string, changes: Dict) => boolean,
): Rule[] {
  const top = new ConfigFields(source, config);
  const found = config[key] ?? {};
  if (!isObject(found)) return top.refuse(key, 'an object', found);
  return Object.entries(found).map(([name, own]) => {
    const changes = isObject(own) ? own : own ? top.refuse(`${key}.${name}`, 'an object', own) : {};
    const path = `quantization_config.${key}.${name}`;
    return {
      name,
      says: `"${key}.${name}"`,
      fields: isFloat(name, changes) ? undefined : new ConfigFields(source, { ...config, ...changes }, path),
      refuse: patternRefusal(top, key, name),
    };
  });
}
