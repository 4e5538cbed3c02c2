import { runWithin, TimeLimitExceeded } from '../bounded.js';
import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import type { GrammarSpec } from '../native/binding.js';
import { type Rules, rule, sequence } from './expression.js';
import { parseGbnf } from './gbnf.js';
import { choiceRules, compileRules } from './grammar.js';
import { compileJsonSchema } from './json-schema/compile.js';
import { parseRegex } from './regex.js';
import { upTo } from './up-to.js';

/** What a generated text must be; exactly one of these. */
export interface Guide {
  /** Values of a JSON schema, as JSON. `true`: any JSON value. */
  readonly jsonSchema?: unknown | undefined;
  /** The whole text matches a regular expression in JavaScript's syntax. */
  readonly regex?: string | undefined;
  /** One of these texts. */
  readonly choice?: readonly string[] | undefined;
  /** A grammar in GBNF, which begins with `root`. */
  readonly grammar?: string | undefined;
  /** The text begins with whatever the model likes, up to this, as reasoning ends; only what follows is guided. */
  readonly after?: string | undefined;
}

/** Those of a thousand properties take half a second on a busy machine, and nothing else happens meanwhile. */
const LIMIT_MS = 5000;
/** About as many as the stack of a thread holds. */
const MANY_PARTS = 5000;

const KINDS = ['jsonSchema', 'regex', 'choice', 'grammar'] as const;

/**
 * What a guide allows, for the engine.
 * @throws GUIDE_INVALID, GUIDE_UNSUPPORTED for what a grammar cannot keep, GUIDE_TOO_LARGE
 */
export function compileGuide(guide: Guide): GrammarSpec {
  try {
    return runWithin(LIMIT_MS, () => {
      const rules = rulesOf(guide);
      return compileRules(guide.after === undefined ? rules : rulesAfter(guide.after, rules));
    });
  } catch (error) {
    if (error instanceof TimeLimitExceeded)
      throw new AtbError('GUIDE_TOO_LARGE', { what: 'milliseconds of work', limit: LIMIT_MS });
    // Of calls that lie too deep in one another, or have too many arguments.
    if (error instanceof RangeError)
      throw new AtbError('GUIDE_TOO_LARGE', { what: 'parts at one place', limit: MANY_PARTS });
    throw error;
  }
}

/** A text that ends where it has `mark` for the first time, then what the rules say. */
function rulesAfter(mark: unknown, { root, rules }: Rules): Rules {
  if (typeof mark !== 'string' || mark === '' || mark.lastIndexOf(mark[0] as string) > 0)
    return fail('after must be a text whose first character comes once in it');
  const begin = 'what comes before';
  return { root: begin, rules: new Map([...rules, [begin, sequence(upTo(mark), rule(root))]]) };
}

function rulesOf(guide: Guide): Rules {
  if (!isObject(guide)) return fail(`must be an object with one of ${KINDS.join(', ')}`);
  const unknown = Object.keys(guide).find((key) => key !== 'after' && !KINDS.some((kind) => kind === key));
  if (unknown !== undefined)
    return fail(`has no ${describeValue(unknown)}, but ${KINDS.join(', ')} and after`);
  const given = KINDS.filter((kind) => guide[kind] !== undefined);
  const [kind] = given;
  if (kind === undefined || given.length > 1)
    return fail(`exactly one of ${KINDS.join(', ')} must be given, found ${given.join(', ') || 'none'}`);
  switch (kind) {
    case 'jsonSchema':
      return compileJsonSchema(guide.jsonSchema);
    case 'regex': {
      const { regex } = guide;
      if (typeof regex !== 'string') return fail('regex must be a string');
      return { root: 'root', rules: new Map([['root', parseRegex(regex, { isSearch: false })]]) };
    }
    case 'choice': {
      const { choice } = guide;
      const isList = Array.isArray(choice) && choice.length > 0;
      if (!isList || !choice.every((text) => typeof text === 'string' && text !== ''))
        return fail('choice must be a list of texts that are not empty');
      return choiceRules(choice);
    }
    case 'grammar': {
      const { grammar } = guide;
      return typeof grammar === 'string' ? parseGbnf(grammar) : fail('grammar must be a string');
    }
  }
}

function fail(problem: string): never {
  throw new AtbError('GUIDE_INVALID', { what: 'the guide', problem });
}
