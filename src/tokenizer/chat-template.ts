import { AtbError } from '../errors.js';
import { runWithin, TimeLimitExceeded } from './bounded.js';
import { BoundedInterpreter, MAX_STRING_LEN } from './bounded-interpreter.js';
import { Environment, type JinjaNode, parse, tokenize } from './jinja-package.js';
import { TemplateExcess, TemplateRefusal, templateGlobals } from './template-globals.js';

/** One turn. Templates see further fields too (`tool_calls`, `reasoning_content`, …). */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

export interface ChatTemplateLimits {
  /** Milliseconds to compile, and milliseconds to render. Default 500. */
  readonly limitMs?: number | undefined;
}

/** Llama 3.1's template, among the longest, has 5 KB. */
const MAX_SOURCE_LEN = 256 * 2 ** 10;
const MAX_NODES = 50_000;
const MAX_NODE_DEPTH = 200;
/** A real template compiles in 1 ms and renders in 0.2 ms. */
const DEFAULT_LIMIT_MS = 500;
/** Characters of input for which a rendering gets another millisecond. */
const INPUT_PER_MS = 32_768;
const MAX_REASON_LEN = 500;
/** `content is string`, `for part in message['content']` and the like. */
const LOOKS_INTO_PARTS =
  /\bcontent\b['"\]]*\s+is\s+(not\s+)?(string|iterable|sequence|mapping)\b|\bfor\s+\w+\s+in\s+[\w.[\]'"]*\bcontent\b/;

/**
 * A Jinja chat template, compiled once. Templates come with checkpoints, so none is trusted: whatever one does, it ends
 * within a second with a text or a TEMPLATE_* error, within bounded memory. (`@huggingface/jinja` differs from Python's
 * Jinja in small things: `-7 % 3` is -1, `{{ none }}` is empty, `{{ true }}` is "true".)
 */
export class ChatTemplate {
  /** Whether it looks into lists of content parts by itself. */
  readonly handlesParts: boolean;
  readonly #name: string;
  readonly #program: JinjaNode;
  readonly #limitMs: number;

  /** `name` says in messages where the template is from. @throws TEMPLATE_INVALID, TEMPLATE_LIMIT */
  constructor(source: string, name: string, { limitMs = DEFAULT_LIMIT_MS }: ChatTemplateLimits = {}) {
    this.#name = name;
    this.#limitMs = limitMs;
    if (source.length > MAX_SOURCE_LEN) this.#exceed('characters of its text', MAX_SOURCE_LEN);
    this.#program = this.#guarded(limitMs, 'TEMPLATE_INVALID', () =>
      parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })),
    );
    this.#checkSize();
    this.handlesParts = LOOKS_INTO_PARTS.test(source);
  }

  /**
   * Renders with these variables, on top of Jinja's constants, `range`, `raise_exception` and `strftime_now`.
   * @throws TEMPLATE_REFUSED when the template raises, TEMPLATE_FAILED, TEMPLATE_LIMIT
   */
  render(variables: Readonly<Record<string, unknown>>, now = new Date()): string {
    const inputSize = jsonLen(variables);
    const limitMs = this.#limitMs + inputSize / INPUT_PER_MS;
    return this.#guarded(limitMs, 'TEMPLATE_FAILED', () => {
      const environment = new Environment();
      for (const [name, value] of Object.entries({ ...variables, ...templateGlobals(now) }))
        environment.set(name, value);
      const output = new BoundedInterpreter(environment, this.#name, inputSize).run(this.#program)
        .value as string;
      // Joined here, within the time limit: until now it is a tree of pieces.
      return Buffer.from(output).toString();
    });
  }

  /** Depth and number of nodes, walked without recursion. */
  #checkSize(): void {
    let level: unknown[] = [this.#program];
    let numNodes = 0;
    for (let depth = 0; level.length > 0; depth++) {
      numNodes += level.length;
      if (numNodes > MAX_NODES) this.#exceed('nodes of its syntax tree', MAX_NODES);
      if (depth > MAX_NODE_DEPTH) this.#exceed('levels of its syntax tree', MAX_NODE_DEPTH);
      level = level.flatMap(childrenOf);
    }
  }

  #guarded<T>(limitMs: number, code: 'TEMPLATE_INVALID' | 'TEMPLATE_FAILED', run: () => T): T {
    try {
      return runWithin(limitMs, run);
    } catch (error) {
      if (error instanceof AtbError) throw error;
      if (error instanceof TimeLimitExceeded) this.#exceed('milliseconds', Math.ceil(limitMs), error);
      if (error instanceof TemplateExcess) this.#exceed(error.what, error.limit, error);
      const reason = (error instanceof Error ? error.message : String(error)).slice(0, MAX_REASON_LEN);
      if (error instanceof TemplateRefusal)
        throw new AtbError('TEMPLATE_REFUSED', { source: this.#name, reason }, { cause: error });
      // The engine's own limits: strings of 2^29 characters, the call stack.
      if (error instanceof RangeError && /string length/.test(reason))
        this.#exceed('characters of a string', MAX_STRING_LEN, error);
      if (error instanceof RangeError) this.#exceed('levels of nesting', MAX_NODE_DEPTH, error);
      throw new AtbError(code, { source: this.#name, reason }, { cause: error });
    }
  }

  #exceed(what: string, limit: number, cause?: unknown): never {
    throw new AtbError('TEMPLATE_LIMIT', { source: this.#name, what, limit }, { cause });
  }
}

/** Nodes right below a node; lists and maps between them are not levels of their own. */
function childrenOf(node: unknown): unknown[] {
  const fields = node instanceof Map ? [...node.entries()].flat() : Object.values(node as object);
  return fields.flatMap((field) => (Array.isArray(field) ? field : [field])).filter(isNode);
}

function isNode(value: unknown): boolean {
  return value instanceof Map || (typeof value === 'object' && value !== null && 'type' in value);
}

function jsonLen(value: unknown): number {
  return JSON.stringify(value)?.length ?? 0;
}
