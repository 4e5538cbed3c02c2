import * as jinja from '@huggingface/jinja';

// The package's own declarations import without file extensions, which "nodenext" does not resolve: everything would
// be `any`. This is the part of 0.5 that we use.

/** A node of a parsed template; `type` says which other fields it has. */
export interface JinjaNode {
  readonly type: string;
}

/** A value while a template runs: "StringValue", "ArrayValue", "ObjectValue", "NamespaceValue", "FunctionValue", … */
export interface JinjaValue {
  readonly type: string;
  readonly value: unknown;
  readonly builtins: ReadonlyMap<string, JinjaValue>;
}

export interface JinjaEnvironment {
  readonly variables: Map<string, JinjaValue>;
  /** Converts a plain value and declares it. */
  set(name: string, value: unknown): JinjaValue;
}

export interface JinjaInterpreter {
  run(program: JinjaNode): JinjaValue;
  /** Every expression and statement is evaluated through this. */
  evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue;
}

interface Package {
  readonly Environment: new (parent?: JinjaEnvironment) => JinjaEnvironment;
  readonly Interpreter: new (environment: JinjaEnvironment) => JinjaInterpreter;
  tokenize(source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }): unknown[];
  parse(tokens: unknown[]): JinjaNode;
}

export const { Environment, Interpreter, tokenize, parse } = jinja as unknown as Package;
