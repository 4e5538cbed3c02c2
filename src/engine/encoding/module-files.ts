import { join } from 'node:path';
import { describeValue } from '../../describe-value.js';
import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { readModelJson } from '../../tokenizer/model-files.js';
import type { LinkOptions } from '../../weights/regular-file.js';

/** A directory of sentence-transformers' files, read one by one. */
export interface ModuleFolder {
  readonly dir: string;
  readonly links: LinkOptions;
}

/** One of its JSON files, whose members are read by name and all must be known. */
export class ModuleFile {
  readonly #read = new Set<string>();

  private constructor(
    readonly path: string,
    private readonly dict: Readonly<Record<string, unknown>>,
  ) {}

  /** Undefined when there is no such file. @throws CONFIG_INVALID, TOKENIZER_INVALID for what is not JSON */
  static async open({ dir, links }: ModuleFolder, name: string): Promise<ModuleFile | undefined> {
    const found = await readModelJson(dir, name, links);
    if (found === undefined) return undefined;
    const path = join(dir, name);
    if (!isObject(found))
      throw new AtbError('CONFIG_INVALID', { file: path, problems: ['must hold an object'] });
    return new ModuleFile(path, found);
  }

  fail(problem: string): never {
    throw new AtbError('CONFIG_INVALID', { file: this.path, problems: [problem] });
  }

  /** The member; undefined when it is absent or null. */
  get<T>(name: string, expected: string, is: (value: unknown) => value is T): T | undefined {
    this.#read.add(name);
    const value = Object.hasOwn(this.dict, name) ? this.dict[name] : undefined;
    if (value === undefined || value === null) return undefined;
    return is(value) ? value : this.fail(`${name} must be ${expected}, found ${describeValue(value)}`);
  }

  count(name: string): number | undefined {
    return this.get(name, 'an integer >= 1', isCount);
  }

  flag(name: string): boolean | undefined {
    return this.get(name, 'true or false', (value): value is boolean => typeof value === 'boolean');
  }

  text(name: string): string | undefined {
    return this.get(name, 'a text', isText);
  }

  /** Refuses members that would do something else than what is done. */
  only(name: string, ...allowed: readonly unknown[]): void {
    this.#read.add(name);
    const value = this.dict[name] ?? undefined;
    const said = JSON.stringify(value);
    if (value === undefined || said === '{}' || allowed.some((one) => JSON.stringify(one) === said)) return;
    this.fail(`${name}=${describeValue(value)} is not supported`);
  }

  /** Members that say nothing about results. */
  skip(...names: readonly string[]): void {
    for (const name of names) this.#read.add(name);
  }

  /** Refuses members that nobody has read. */
  done(): void {
    const unknown = Object.keys(this.dict).filter((name) => !this.#read.has(name));
    if (unknown.length > 0) this.fail(`unknown: ${unknown.join(', ')}`);
  }
}

export const isText = (value: unknown): value is string => typeof value === 'string';
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;
