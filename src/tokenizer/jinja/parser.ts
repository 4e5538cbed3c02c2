import { TemplateExcess } from './budget.js';
import { ExpressionParser } from './expression-parser.js';
import { tokenize } from './lexer.js';
import { macroFeatures } from './macro.js';
import type { Expression, MacroDefinition, Statement, Target } from './nodes.js';
import { TokenStream } from './token-stream.js';

/** The longest real templates have some 5,000. */
const MAX_TOKENS = 50_000;

/** A template's statements. @throws TemplateSyntaxError, TemplateExcess for what is too large or nested too deeply */
export function parse(template: string): Statement[] {
  const tokens = tokenize(template);
  if (tokens.length > MAX_TOKENS) throw new TemplateExcess('tokens', MAX_TOKENS);
  const stream = new TokenStream(tokens);
  const body = new Parser(stream).statements([]);
  if (!stream.is('eof')) stream.unexpected();
  return body;
}

const isBareCaller = (parameter: MacroDefinition['parameters'][number]): boolean =>
  parameter.name === 'caller' && parameter.default === undefined;

class Parser {
  readonly #expressions: ExpressionParser;
  /** Loops around this place, up to the macro that it belongs to. */
  #numLoops = 0;

  constructor(private readonly stream: TokenStream) {
    this.#expressions = new ExpressionParser(stream);
  }

  /** Statements up to a tag of one of these names, which is left to be taken, or to the end of the template. */
  statements(endNames: readonly string[]): Statement[] {
    const { stream } = this;
    const body: Statement[] = [];
    while (!stream.is('eof')) {
      if (stream.is('data')) {
        body.push({ kind: 'output', expressions: [{ kind: 'const', value: stream.take().value }] });
      } else if (stream.skip('variable_begin')) {
        body.push({ kind: 'output', expressions: [this.#expressions.tuple()] });
        stream.expect('variable_end');
      } else {
        stream.expect('block_begin');
        if (endNames.length > 0 && stream.is('name', ...endNames)) return body;
        body.push(...stream.nested(() => this.#statement()));
        stream.expect('block_end');
      }
    }
    if (endNames.length > 0) stream.fail(`Unexpected end of template: looking for ${endNames.join(' or ')}`);
    return body;
  }

  #statement(): Statement[] {
    const { stream } = this;
    const name = stream.expect('name').value;
    switch (name) {
      case 'for':
        return [this.#for()];
      case 'if':
        return [this.#if()];
      case 'set':
        return [this.#set()];
      case 'macro':
        return [this.#macro()];
      case 'call':
        return [this.#call()];
      case 'filter':
        return [{ kind: 'filter', filter: this.#filter(), body: this.#body('endfilter') }];
      case 'with':
        return [this.#with()];
      case 'print':
        return [{ kind: 'output', expressions: this.#printed() }];
      case 'generation':
        return [{ kind: 'scope', body: this.#ownBody('endgeneration') }];
      case 'block':
        return [this.#block()];
      case 'break':
      case 'continue':
        if (this.#numLoops === 0) stream.fail(`'${name}' outside loop`);
        return [{ kind: name }];
      case 'include':
      case 'import':
      case 'from':
      case 'extends':
        this.#expressions.expression();
        while (!stream.is('block_end') && !stream.is('eof')) stream.take();
        return [{ kind: 'load', tag: name }];
      default:
        return stream.fail(`Encountered unknown tag '${name}'`);
    }
  }

  /** After a statement's head: the body and its end tag's name. */
  #body(endName: string): Statement[] {
    this.stream.expect('block_end');
    const body = this.statements([endName]);
    this.stream.expect('name', endName);
    return body;
  }

  /** A body that is called: it cannot end a loop around it. */
  #ownBody(endName: string): Statement[] {
    const numLoops = this.#numLoops;
    this.#numLoops = 0;
    const body = this.#body(endName);
    this.#numLoops = numLoops;
    return body;
  }

  #for(): Statement {
    const { stream } = this;
    const target = this.#target(false);
    stream.expect('name', 'in');
    const iterable = this.#expressions.tuple({ allowsConditions: false });
    const test = stream.skip('name', 'if') ? this.#expressions.expression() : undefined;
    const isRecursive = stream.skip('name', 'recursive');
    stream.expect('block_end');
    this.#numLoops++;
    const body = this.statements(['endfor', 'else']);
    this.#numLoops--;
    const otherwise = stream.expect('name').value === 'else' ? this.#body('endfor') : [];
    return { kind: 'for', target, iterable, test, isRecursive, body, otherwise };
  }

  #if(): Statement {
    const { stream } = this;
    const branches: { test: Expression; body: Statement[] }[] = [];
    for (;;) {
      const test = this.#expressions.tuple({ allowsConditions: false });
      stream.expect('block_end');
      branches.push({ test, body: this.statements(['elif', 'else', 'endif']) });
      const { value } = stream.expect('name');
      if (value === 'elif') continue;
      return { kind: 'if', branches, otherwise: value === 'else' ? this.#body('endif') : [] };
    }
  }

  #set(): Statement {
    const { stream } = this;
    const target = this.#target(true);
    if (stream.skip('operator', '=')) return { kind: 'set', target, value: this.#expressions.tuple() };
    const filter = stream.skip('operator', '|') ? this.#filter() : undefined;
    return { kind: 'set-block', target, filter, body: this.#body('endset') };
  }

  #macro(): Statement {
    const name = this.stream.expect('name').value;
    const macro = { name, parameters: this.#parameters(), body: this.#ownBody('endmacro') };
    if (macroFeatures(macro).caller && macro.parameters.some(isBareCaller))
      this.stream.fail('a parameter "caller" must have a default');
    return { kind: 'macro', macro };
  }

  #call(): Statement {
    const parameters = this.stream.is('operator', '(') ? this.#parameters() : [];
    const call = this.#expressions.expression();
    if (call.kind !== 'call') return this.stream.fail('expected call');
    return { kind: 'call', call, caller: { name: 'caller', parameters, body: this.#ownBody('endcall') } };
  }

  #with(): Statement {
    const { stream } = this;
    const assignments: { target: Target; value: Expression }[] = [];
    while (!stream.is('block_end')) {
      if (assignments.length > 0) stream.expect('operator', ',');
      const target = this.#targetItem(false);
      stream.expect('operator', '=');
      assignments.push({ target, value: this.#expressions.expression() });
    }
    return { kind: 'with', assignments, body: this.#body('endwith') };
  }

  #block(): Statement {
    const { stream } = this;
    const { value: name } = stream.expect('name');
    stream.skip('name', 'scoped');
    const body = this.#body('endblock');
    stream.skip('name', name);
    return { kind: 'scope', body };
  }

  #printed(): Expression[] {
    const expressions: Expression[] = [];
    while (!this.stream.is('block_end')) {
      if (expressions.length > 0) this.stream.expect('operator', ',');
      expressions.push(this.#expressions.expression());
    }
    return expressions;
  }

  #filter(): Expression {
    return this.#expressions.filters(undefined) ?? this.stream.unexpected();
  }

  #parameters(): MacroDefinition['parameters'] {
    const { stream } = this;
    const parameters: { name: string; default: Expression | undefined }[] = [];
    stream.expect('operator', '(');
    while (!stream.is('operator', ')')) {
      if (parameters.length > 0) stream.expect('operator', ',');
      const { value: name } = stream.expect('name');
      const given = stream.skip('operator', '=') ? this.#expressions.expression() : undefined;
      if (given === undefined && parameters.at(-1)?.default !== undefined)
        stream.fail('non-default argument follows default argument');
      parameters.push({ name, default: given });
    }
    stream.expect('operator', ')');
    return parameters;
  }

  /** One name, or several with commas. As in Jinja, behind a comma before "in" there has to be another one. */
  #target(allowsNamespace: boolean): Target {
    const { stream } = this;
    const items: Target[] = [];
    let isTuple = false;
    const isEnd = (): boolean => stream.is('block_end') || stream.is('operator', '=', ')');
    while (!isEnd()) {
      items.push(this.#targetItem(allowsNamespace));
      if (!stream.skip('operator', ',')) break;
      isTuple = true;
    }
    const [only] = items;
    if (only === undefined) return stream.unexpected();
    return isTuple ? { kind: 'tuple', items } : only;
  }

  #targetItem(allowsNamespace: boolean): Target {
    const { stream } = this;
    if (stream.skip('operator', '(')) {
      const inner = stream.nested(() => this.#target(allowsNamespace));
      stream.expect('operator', ')');
      return inner;
    }
    const { value: name } = stream.expect('name');
    if (['true', 'false', 'none', 'True', 'False', 'None'].includes(name))
      stream.fail(`can't assign to ${name}`);
    if (!allowsNamespace || !stream.skip('operator', '.')) return { kind: 'name', name };
    return { kind: 'namespace', name, attribute: stream.expect('name').value };
  }
}
