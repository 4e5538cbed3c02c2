/** Numbers that a file's metadata has for its architecture, by their names without that of the architecture. */
export interface GgufNumbers {
  /** How many layers the model runs, without those that guess further tokens. */
  readonly layers: number;
  /** @throws CONFIG_INVALID when there is no such number */
  number(key: string): number;
  /** Of a list with a number for each layer the one that all layers have, beside those of which it is 0. */
  optional(key: string): number | undefined;
  /** A number or a truth for each layer; undefined when there is no such list. */
  perLayer(key: string): readonly (number | boolean)[] | undefined;
  /** Whether a truth is told and holds. */
  flag(key: string): boolean;
  /** Whether the files have a tensor, by its name there. */
  has(tensor: string): boolean;
  /** The rows of a tensor, by its name in the files. @throws CONFIG_INVALID when there is no such tensor */
  rows(tensor: string): number;
  /** @throws CONFIG_INVALID */
  fail(problem: string): never;
}
