import { AtbError } from '../errors.js';
import type { GrammarSpec } from '../native/binding.js';
import type { Rules } from './expression.js';
import { parseGbnf } from './gbnf.js';
import { choiceRules, compileRules } from './grammar.js';
import { compileJsonSchema } from './json-schema/compile.js';
import { parseRegex } from './regex.js';

/** What a generated text must be; exactly one of these. */
export interface Guide {
  /** Values of a JSON schema, as JSON. `true`: any JSON value. */
  readonly jsonSchema?: unknown;
  /** The whole text matches a regular expression in JavaScript's syntax. */
  readonly regex?: string;
  /** One of these texts. */
  readonly choice?: readonly string[];
  /** A grammar in GBNF, which begins with `root`. */
  readonly grammar?: string;
}

const KINDS = ['jsonSchema', 'regex', 'choice', 'grammar'] as const;

/**
 * What a guide allows, for the engine.
 * @throws GUIDE_INVALID, GUIDE_UNSUPPORTED for what a grammar cannot keep, GUIDE_TOO_LARGE
 */
export function compileGuide(guide: Guide): GrammarSpec {
  return compileRules(rulesOf(guide));
}

function rulesOf(guide: Guide): Rules {
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
