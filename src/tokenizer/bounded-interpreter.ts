import { AtbError } from '../errors.js';
import {
  Environment,
  Interpreter,
  type JinjaEnvironment,
  type JinjaNode,
  type JinjaValue,
} from './jinja-package.js';
import { UnboundedValue, ValueSizes } from './value-size.js';

/** Evaluations of one rendering; ten messages take some hundreds. */
export const MAX_STEPS = 1_000_000;
/** Characters of any string, the output included. */
export const MAX_STRING_LEN = 16 * 2 ** 20;
/** Items of a list that a template makes, of a range, of a loop. */
export const MAX_ITEMS = 100_000;
/** Evaluations inside one another: the syntax tree's depth and macros that call macros. */
const MAX_CALL_DEPTH = 400;
const MAX_DATA_DEPTH = 200;
/** Each loop and each item keeps objects alive while it runs: 250,000 in all. */
const STEPS_PER_ITEM = 4;
/** Everything that is made, in characters, on top of what the input allows for. A list's item takes 64 bytes. */
const BASE_VOLUME = 32 * 2 ** 20;
const VOLUME_PER_INPUT = 64;
const ITEM_VOLUME = 64;
/** Written-out size of a list or mapping, on top of what the input allows for. */
const BASE_CONTAINER = 4 * 2 ** 20;
const CONTAINER_PER_INPUT = 16;
/** A character of JSON may take six: \u0000. */
const JSON_ESCAPE_LEN = 6;

interface ForNode extends JinjaNode {
  readonly iterable: JinjaNode & { readonly lhs?: JinjaNode };
}
interface FilterNode extends JinjaNode {
  readonly operand: JinjaNode;
  readonly filter: JinjaNode & {
    readonly value?: string;
    readonly callee?: { readonly value?: string };
    readonly args?: JinjaNode[];
  };
}
interface FilterStatementNode extends JinjaNode {
  readonly filter: FilterNode['filter'];
  readonly body: JinjaNode[];
}
interface MemberNode extends JinjaNode {
  readonly object: JinjaNode;
  readonly property: JinjaNode & { readonly value?: unknown };
  readonly computed: boolean;
}
interface ArgumentNode extends JinjaNode {
  readonly key?: { readonly value: string };
  readonly value?: JinjaNode;
  readonly argument?: JinjaNode;
}
interface Arguments {
  readonly nodes: readonly JinjaNode[];
  readonly positional: readonly JinjaValue[];
  readonly keyword: ReadonlyMap<string, JinjaValue>;
}

type NativeFunction = (args: JinjaValue[], scope: JinjaEnvironment) => JinjaValue;

/** Nodes that give an existing value, and so cost no memory. */
const PASSING = new Set([
  'Identifier',
  'MemberExpression',
  'StringLiteral',
  'IntegerLiteral',
  'FloatLiteral',
  'Comment',
]);
/** Filters and methods whose result may be many times as long as what goes in; all others at most double. */
const GROWING_FILTERS = new Set(['join', 'indent', 'tojson', 'replace']);
const GROWING_METHODS = new Set(['replace', 'split']);

/**
 * Runs templates that nobody has to trust. The package's interpreter has no limits: this one counts steps, bounds every
 * value before it is made, and keeps values from containing themselves, so that neither time nor memory runs away.
 * Time inside one operation (a sort, a replacement) is the caller's to bound.
 */
export class BoundedInterpreter extends Interpreter {
  readonly #source: string;
  readonly #sizes = new ValueSizes();
  readonly #maxContainer: number;
  #stepsLeft = MAX_STEPS;
  #volumeLeft: number;
  #depth = 0;
  #numBound = 0;

  /** `inputSize`: characters of everything that the template is given. */
  constructor(environment: JinjaEnvironment, source: string, inputSize: number) {
    super(environment);
    this.#source = source;
    this.#volumeLeft = BASE_VOLUME + VOLUME_PER_INPUT * inputSize;
    this.#maxContainer = BASE_CONTAINER + CONTAINER_PER_INPUT * inputSize;
  }

  override evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    this.#spend(1);
    const depth = this.#depth++;
    if (depth >= MAX_CALL_DEPTH) this.#refuse('evaluations inside one another', MAX_CALL_DEPTH);
    try {
      const value = this.#evaluate(node, environment);
      this.#measure(value, node === undefined || PASSING.has(node.type));
      return value;
    } finally {
      // `break` and `continue` come through here as errors.
      this.#depth = depth;
    }
  }

  #evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    switch (node?.type) {
      case 'For':
        return this.#evaluateFor(node as ForNode, environment);
      case 'FilterExpression':
        return this.#evaluateFilter(node as FilterNode, environment);
      case 'FilterStatement': {
        const { filter, body } = node as FilterStatementNode;
        const operand: JinjaNode & { body: JinjaNode[] } = { type: 'Program', body };
        return this.#evaluateFilter({ type: 'FilterExpression', operand, filter } as FilterNode, environment);
      }
      case 'MemberExpression':
        return this.#evaluateMember(node as MemberNode, environment);
      default:
        return super.evaluate(node, environment);
    }
  }

  /** Pays for every item before the loop begins: the package prepares all of them at once. */
  #evaluateFor(node: ForNode, environment: JinjaEnvironment): JinjaValue {
    const scope = new Environment(environment);
    const isFiltered = node.iterable.type === 'SelectExpression' && node.iterable.lhs !== undefined;
    const items = this.evaluate(isFiltered ? node.iterable.lhs : node.iterable, environment);
    const numItems = Array.isArray(items.value)
      ? items.value.length
      : items.value instanceof Map
        ? items.value.size
        : 0;
    this.#limitItems(numItems);
    this.#spend(STEPS_PER_ITEM * numItems);
    const bound = this.#bind(scope, items);
    const iterable = isFiltered ? { ...node.iterable, lhs: bound } : bound;
    return super.evaluate({ ...node, iterable } as ForNode, scope);
  }

  #evaluateFilter(node: FilterNode, environment: JinjaEnvironment): JinjaValue {
    const name = node.filter.value ?? node.filter.callee?.value ?? '';
    const scope = new Environment(environment);
    const operand = this.evaluate(node.operand, environment);
    const bound = this.#bind(scope, operand);
    if (!GROWING_FILTERS.has(name)) return super.evaluate({ ...node, operand: bound } as FilterNode, scope);
    const args = this.#evaluateArguments(node.filter.args ?? [], scope);
    this.#limitFilter(name, operand, args);
    const filter = node.filter.args === undefined ? node.filter : { ...node.filter, args: args.nodes };
    return super.evaluate({ ...node, operand: bound, filter } as FilterNode, scope);
  }

  #evaluateMember(node: MemberNode, environment: JinjaEnvironment): JinjaValue {
    const isStatic =
      !node.computed || node.property.type === 'StringLiteral' || node.property.type === 'IntegerLiteral';
    if (isStatic && !GROWING_METHODS.has(String(node.property.value)))
      return super.evaluate(node, environment);
    const scope = new Environment(environment);
    const object = this.evaluate(node.object, environment);
    if (node.property.type === 'SliceExpression') {
      // A slice of a string is taken from the list of its characters.
      this.#pay(typeof object.value === 'string' ? 4 * object.value.length : 0);
    }
    const value = super.evaluate({ ...node, object: this.#bind(scope, object) } as MemberNode, scope);
    return typeof object.value === 'string' && value.type === 'FunctionValue'
      ? this.#guardMethod(object, value)
      : value;
  }

  /** The same method, which looks at its arguments before it runs. */
  #guardMethod(receiver: JinjaValue, method: JinjaValue): JinjaValue {
    const text = receiver.value as string;
    const name = [...GROWING_METHODS].find((growing) => receiver.builtins.get(growing) === method);
    if (name === undefined) return method;
    const run: NativeFunction = (args, scope) => {
      if (name === 'replace') this.#limitReplace(text, args[0]?.value, args[1]?.value);
      else this.#limitItems(countSplits(text, args[0]?.value));
      return (method.value as NativeFunction)(args, scope);
    };
    return Object.create(method, { value: { value: run } }) as JinjaValue;
  }

  /** Evaluates arguments once and leaves variables in their place. */
  #evaluateArguments(args: readonly JinjaNode[], scope: JinjaEnvironment): Arguments {
    const positional: JinjaValue[] = [];
    const keyword = new Map<string, JinjaValue>();
    const nodes = args.map((argument) => {
      const { type, key, value, argument: spread } = argument as ArgumentNode;
      const inner = type === 'KeywordArgumentExpression' ? value : (spread ?? argument);
      const found = this.evaluate(inner, scope);
      const bound = this.#bind(scope, found);
      switch (type) {
        case 'KeywordArgumentExpression':
          keyword.set(key?.value ?? '', found);
          return { ...argument, value: bound };
        case 'SpreadExpression':
          if (Array.isArray(found.value)) positional.push(...(found.value as JinjaValue[]));
          return { ...argument, argument: bound };
        case 'KeywordSpreadExpression':
          if (found.value instanceof Map)
            for (const [name, item] of found.value) keyword.set(String(name), item as JinjaValue);
          return { ...argument, argument: bound };
        default:
          positional.push(found);
          return bound;
      }
    });
    return { nodes, positional, keyword };
  }

  #limitFilter(name: string, operand: JinjaValue, { positional, keyword }: Arguments): void {
    const { size, depth } = this.#sizeOf(operand);
    switch (name) {
      case 'join': {
        const numItems = Array.isArray(operand.value) ? operand.value.length : size;
        this.#limitItems(numItems);
        const separator = (positional[0] ?? keyword.get('separator'))?.value;
        this.#limitString(size + numItems * (typeof separator === 'string' ? separator.length : 0));
        return;
      }
      case 'indent': {
        const width = Number((positional[0] ?? keyword.get('width'))?.value ?? 4);
        const text = typeof operand.value === 'string' ? operand.value : '';
        this.#limitString(text.length + (countSplits(text, '\n') + 1) * width);
        return;
      }
      case 'tojson': {
        const indent = Number(keyword.get('indent')?.value ?? 0);
        const separators = keyword.get('separators');
        const perItem = (separators ? this.#sizeOf(separators).size : 0) + (depth + 2) * indent;
        // Each item takes 4 characters at least, so there are at most size / 4.
        this.#limitString(size + (size / 4) * perItem);
        if (keyword.get('ensure_ascii')?.value === true) this.#limitString(JSON_ESCAPE_LEN * size);
        return;
      }
      default:
        this.#limitReplace(operand.value, positional[0]?.value, positional[1]?.value);
    }
  }

  #limitReplace(text: unknown, from: unknown, to: unknown): void {
    // Other types are errors, which the package reports.
    if (typeof text !== 'string' || typeof from !== 'string' || typeof to !== 'string') return;
    this.#limitString(text.length + countSplits(text, from) * Math.max(0, to.length - from.length));
  }

  #limitString(len: number): void {
    if (!(len <= MAX_STRING_LEN)) this.#refuse('characters of a string', MAX_STRING_LEN);
  }

  #limitItems(numItems: number): void {
    if (numItems > MAX_ITEMS) this.#refuse('items of a list', MAX_ITEMS);
  }

  #spend(steps: number): void {
    this.#stepsLeft -= steps;
    if (this.#stepsLeft < 0) this.#refuse('steps', MAX_STEPS);
  }

  #pay(volume: number): void {
    this.#volumeLeft -= volume;
    if (this.#volumeLeft < 0) this.#refuse('characters made in all', BASE_VOLUME);
  }

  #measure(value: JinjaValue, isPassed: boolean): void {
    if (typeof value.value === 'string') {
      this.#limitString(value.value.length);
      if (!isPassed) this.#pay(value.value.length);
      return;
    }
    const isList = Array.isArray(value.value);
    if (!isList && !(value.value instanceof Map)) return;
    const numItems = isList ? (value.value as unknown[]).length : (value.value as Map<string, unknown>).size;
    if (!isPassed) {
      this.#limitItems(numItems);
      this.#pay(ITEM_VOLUME * numItems);
    }
    const { size, depth } = this.#sizeOf(value);
    if (size > this.#maxContainer) this.#refuse('characters of a list or mapping', this.#maxContainer);
    if (depth > MAX_DATA_DEPTH) this.#refuse('lists inside one another', MAX_DATA_DEPTH);
  }

  #sizeOf(value: JinjaValue): { size: number; depth: number } {
    try {
      return this.#sizes.of(value);
    } catch (error) {
      if (error instanceof UnboundedValue) this.#refuse('namespaces inside lists or one another', 0);
      throw error;
    }
  }

  /** Puts a value into `scope` under a name that no template can write, and returns the node that reads it. */
  #bind(scope: JinjaEnvironment, value: JinjaValue): JinjaNode & { readonly value: string } {
    const name = `\u0000${this.#numBound++}`;
    scope.variables.set(name, value);
    return { type: 'Identifier', value: name };
  }

  #refuse(what: string, limit: number): never {
    throw new AtbError('TEMPLATE_LIMIT', { source: this.#source, what, limit });
  }
}

/** How often `separator` occurs; every place between characters for an empty one, words for none at all. */
function countSplits(text: string, separator: unknown): number {
  if (separator === '') return text.length + 1;
  let count = 0;
  if (typeof separator !== 'string') {
    for (const word of text.matchAll(/\S+/g)) if (word.index >= 0) count++;
    return count;
  }
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, at + separator.length))
    count++;
  return count;
}
