import type { Budget } from './budget.js';
import { Evaluator } from './evaluator.js';
import { checkAttribute, globalFunctions } from './globals.js';
import { isTrue, iterate, textOf } from './iteration.js';
import { bindMacro, macroFeatures } from './macro.js';
import type { Expression, MacroDefinition, Statement, Target } from './nodes.js';
import { Scope } from './scope.js';
import { toText, Writer } from './text.js';
import {
  type CallArguments,
  Callable,
  Loop,
  Namespace,
  TemplateRuntimeError,
  Tuple,
  Undefined,
  type Value,
} from './values.js';

/** How a body ended: at its end, or at a `break` or `continue` of the loop around it. */
type Ending = 'end' | 'break' | 'continue';

/** Runs a parsed template within a budget. */
export class Interpreter extends Evaluator {
  constructor(
    budget: Budget,
    private readonly now: Date,
  ) {
    super(budget);
  }

  /** The rendered text. @throws TemplateRuntimeError, TemplateRefusal, TemplateExcess */
  run(body: readonly Statement[], variables: Iterable<readonly [string, Value]>): string {
    const globals = new Scope(undefined, globalFunctions(this.budget, this.now));
    return this.#render(body, new Scope(new Scope(globals, variables)));
  }

  #render(body: readonly Statement[], scope: Scope): string {
    const output = new Writer(this.budget);
    this.#execute(body, scope, output);
    return output.toString();
  }

  #execute(body: readonly Statement[], scope: Scope, output: Writer): Ending {
    return this.budget.nested(() => {
      for (const statement of body) {
        this.budget.spend(1);
        const ending = this.#statement(statement, scope, output);
        if (ending !== 'end') return ending;
      }
      return 'end';
    });
  }

  #statement(statement: Statement, scope: Scope, output: Writer): Ending {
    switch (statement.kind) {
      case 'output':
        for (const expression of statement.expressions)
          output.push(toText(this.evaluate(expression, scope), this.budget));
        return 'end';
      case 'if': {
        const branch = statement.branches.find(({ test }) => isTrue(this.evaluate(test, scope)));
        return this.#execute(branch?.body ?? statement.otherwise, scope, output);
      }
      case 'for':
        this.#loop(statement, this.evaluate(statement.iterable, scope), scope, output, 0);
        return 'end';
      case 'set':
        this.#assign(statement.target, this.evaluate(statement.value, scope), scope);
        return 'end';
      case 'set-block': {
        const text = this.#render(statement.body, new Scope(scope));
        this.#assign(statement.target, this.#filtered(statement.filter, text, scope), scope);
        return 'end';
      }
      case 'filter': {
        const text = this.#render(statement.body, new Scope(scope));
        const filtered = textOf(this.#filtered(statement.filter, text, scope));
        if (filtered === undefined)
          throw new TemplateRuntimeError(
            'sequence item 0: expected str instance, as a filtered block is printed',
          );
        output.push(filtered);
        return 'end';
      }
      case 'macro':
        scope.set(statement.macro.name, this.#macro(statement.macro, scope));
        return 'end';
      case 'call': {
        if (statement.call.kind !== 'call') return 'end';
        const { callee, args } = statement.call;
        const given = this.arguments(args, scope);
        const keyword = new Map(given.keyword).set('caller', this.#macro(statement.caller, scope));
        const result = this.call(this.evaluate(callee, scope), { ...given, keyword });
        output.push(toText(result, this.budget));
        return 'end';
      }
      case 'with': {
        const inner = new Scope(scope);
        for (const { target, value } of statement.assignments)
          this.#assign(target, this.evaluate(value, scope), inner);
        return this.#execute(statement.body, inner, output);
      }
      case 'scope':
        return this.#execute(statement.body, new Scope(scope), output);
      case 'load':
        throw new TemplateRuntimeError(`${statement.tag}: a chat template cannot load another one`);
      default:
        return statement.kind;
    }
  }

  #loop(
    statement: Statement & { readonly kind: 'for' },
    iterable: Value,
    scope: Scope,
    output: Writer,
    depth: number,
  ): void {
    const { target, test, body, otherwise } = statement;
    let items = iterate(iterable, this.budget);
    this.budget.payItems(items.length);
    if (test !== undefined) {
      items = items.filter((item) => {
        const inner = new Scope(scope);
        this.#assign(target, item, inner);
        return isTrue(this.evaluate(test, inner));
      });
    }
    const recurse = (inner: Value): string => {
      const text = new Writer(this.budget);
      this.budget.nested(() => this.#loop(statement, inner, scope, text, depth + 1));
      return text.toString();
    };
    let hasEnded = false;
    const loop = new Loop(items, depth, statement.isRecursive ? recurse : undefined);
    for (const [index, item] of items.entries()) {
      loop.index0 = index;
      const inner = new Scope(scope);
      inner.set('loop', loop);
      this.#assign(target, item, inner);
      const ending = this.#execute(body, inner, output);
      if (ending === 'break') break;
      // As Jinja counts: a turn that `break` or `continue` cut short leaves the loop as if it had not run.
      hasEnded ||= ending === 'end';
    }
    if (!hasEnded) this.#execute(otherwise, new Scope(scope), output);
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') {
      scope.set(target.name, value);
      return;
    }
    if (target.kind === 'namespace') {
      const namespace = scope.lookUp(target.name);
      if (!(namespace instanceof Namespace))
        throw new TemplateRuntimeError('cannot assign attribute on non-namespace object');
      checkAttribute(target.attribute);
      namespace.attributes.set(target.attribute, value);
      return;
    }
    const items = iterate(value, this.budget);
    if (items.length !== target.items.length) {
      const problem = items.length < target.items.length ? 'not enough values' : 'too many values';
      throw new TemplateRuntimeError(`${problem} to unpack (expected ${target.items.length})`);
    }
    for (const [index, item] of target.items.entries()) this.#assign(item, items[index] as Value, scope);
  }

  #macro(definition: MacroDefinition, scope: Scope): Callable {
    const features = macroFeatures(definition);
    const call = (args: CallArguments): Value =>
      this.budget.nested(() => {
        const inner = new Scope(scope);
        for (const [name, value] of bindMacro(definition, features, args)) {
          const fallback = definition.parameters.find((parameter) => parameter.name === name)?.default;
          const isGiven = value !== undefined;
          inner.set(
            name,
            isGiven
              ? value
              : fallback === undefined
                ? new Undefined(`parameter '${name}' was not provided`)
                : this.evaluate(fallback, inner),
          );
        }
        return this.#render(definition.body, inner);
      });
    const attributes = new Map<string, Value>([
      ['name', definition.name],
      ['arguments', new Tuple(definition.parameters.map(({ name }) => name))],
      ['catch_kwargs', features.kwargs],
      ['catch_varargs', features.varargs],
      ['caller', features.caller],
    ]);
    return new Callable(definition.name, call, attributes);
  }

  #filtered(filter: Expression | undefined, text: string, scope: Scope): Value {
    if (filter?.kind !== 'filter') return text;
    const operand = filter.operand === undefined ? text : this.#filtered(filter.operand, text, scope);
    return this.applyFilter(filter.name, operand, this.arguments(filter.args, scope));
  }
}
