import { AtbError } from '../errors.js';
import type { GrammarSpec } from '../native/binding.js';
import { type Expression, type Rules, text } from './expression.js';
import { utf8Ranges } from './utf8-ranges.js';

/** Nodes of a grammar: an object of a hundred properties has some ten thousand. */
const MAX_NODES = 300_000;
/** Character classes of more ranges than this are a rule of their own, so that they are there once. */
const MANY_RANGES = 4;

/**
 * Rules to the automata that the engine reads (Thompson's construction).
 * @throws GUIDE_INVALID for a rule that is called and not there, GUIDE_TOO_LARGE
 */
export function compileRules({ root, rules }: Rules): GrammarSpec {
  const compiler = new Compiler(rules);
  compiler.ruleOf(root);
  return compiler.finish();
}

class Compiler {
  readonly #expressions: ReadonlyMap<string, Expression>;
  readonly #numbers = new Map<string, number>();
  readonly #waiting: { readonly start: number; readonly end: number; readonly expression: Expression }[] = [];
  readonly #classes = new Map<string, Expression>();
  /** What stands in a class that is repeated is spelled once: letters are 600 ranges. */
  readonly #classNames = new Map<unknown, string>();
  readonly #rules: number[] = [];
  readonly #bytes: number[] = [];
  readonly #calls: number[] = [];
  readonly #empty: number[] = [];
  #nodes = 0;

  constructor(expressions: ReadonlyMap<string, Expression>) {
    this.#expressions = expressions;
  }

  /** The number of a rule, whose automaton is made later: rules may call one another in any way. */
  ruleOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const expression = this.#classes.get(name) ?? this.#expressions.get(name);
    if (expression === undefined)
      throw new AtbError('GUIDE_INVALID', { what: 'grammar', problem: `there is no rule ${name}` });
    const number = this.#numbers.size;
    this.#numbers.set(name, number);
    const [start, end] = [this.#node(), this.#node()];
    this.#rules.push(start, end);
    this.#waiting.push({ start, end, expression });
    return number;
  }

  finish(): GrammarSpec {
    for (let next = this.#waiting.pop(); next !== undefined; next = this.#waiting.pop())
      this.#emit(next.expression, next.start, next.end);
    return {
      nodes: this.#nodes,
      rules: Int32Array.from(this.#rules),
      bytes: Int32Array.from(this.#bytes),
      calls: Int32Array.from(this.#calls),
      empty: Int32Array.from(this.#empty),
    };
  }

  #node(): number {
    if (this.#nodes === MAX_NODES) this.#refuse();
    return this.#nodes++;
  }

  #refuse(): never {
    throw new AtbError('GUIDE_TOO_LARGE', { what: 'nodes', limit: MAX_NODES });
  }

  #emit(expression: Expression, from: number, to: number): void {
    switch (expression.kind) {
      case 'text':
        if (this.#nodes + expression.text.length > MAX_NODES) this.#refuse();
        this.#path(
          [...Buffer.from(expression.text)].map((byte) => [byte, byte] as const),
          from,
          to,
        );
        return;
      case 'characters':
        this.#emitCharacters(expression, from, to);
        return;
      case 'sequence': {
        let at = from;
        for (const item of expression.items) {
          const next = this.#node();
          this.#emit(item, at, next);
          at = next;
        }
        this.#empty.push(at, to);
        return;
      }
      case 'choice':
        for (const item of expression.items) this.#emit(item, from, to);
        return;
      case 'repeat':
        this.#emitRepeat(expression, from, to);
        return;
      case 'rule':
        this.#calls.push(from, to, this.ruleOf(expression.name));
    }
  }

  #emitRepeat(repeat: Expression & { readonly kind: 'repeat' }, from: number, to: number): void {
    const { item, min, max } = repeat;
    let at = from;
    const next = (): number => {
      const node = this.#node();
      this.#emit(item, at, node);
      return node;
    };
    for (let i = 0; i < min; i++) at = next();
    if (max === undefined) {
      // A node of its own, which nothing but the loop comes back to.
      const loop = this.#node();
      this.#empty.push(at, loop);
      this.#emit(item, loop, loop);
      at = loop;
    } else {
      for (let i = min; i < max; i++) {
        this.#empty.push(at, to);
        at = next();
      }
    }
    this.#empty.push(at, to);
  }

  #emitCharacters(item: Expression & { readonly kind: 'characters' }, from: number, to: number): void {
    const { ranges } = item;
    if (ranges.length > MANY_RANGES) {
      // No rule of a grammar has a blank in its name.
      const name = this.#classNames.get(ranges) ?? `class ${ranges.join(' ')}`;
      this.#classNames.set(ranges, name);
      if (!this.#classes.has(name))
        this.#classes.set(name, {
          kind: 'choice',
          items: ranges.map((range) => ({ kind: 'characters', ranges: [range] })),
        });
      this.#calls.push(from, to, this.ruleOf(name));
      return;
    }
    for (const range of ranges) for (const bytes of utf8Ranges(range)) this.#path(bytes, from, to);
  }

  /** One byte after another. */
  #path(bytes: ReadonlyArray<readonly [number, number]>, from: number, to: number): void {
    let at = from;
    bytes.forEach(([first, last], i) => {
      const next = i === bytes.length - 1 ? to : this.#node();
      this.#bytes.push(at, next, first, last);
      at = next;
    });
    if (bytes.length === 0) this.#empty.push(from, to);
  }
}

/** One of these texts. */
export function choiceRules(texts: readonly string[]): Rules {
  return { root: 'root', rules: new Map([['root', { kind: 'choice', items: texts.map(text) }]]) };
}
