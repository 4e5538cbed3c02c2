import { Undefined, type Value } from './values.js';

/** Names and their values, with the scope around. What is assigned stays in the scope where it is assigned. */
export class Scope {
  readonly #values: Map<string, Value>;

  constructor(
    private readonly parent?: Scope,
    values: Iterable<readonly [string, Value]> = [],
  ) {
    this.#values = new Map(values);
  }

  lookUp(name: string): Value {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.parent) {
      const value = scope.#values.get(name);
      if (value !== undefined) return value;
    }
    return new Undefined(`'${name}' is undefined`);
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}
