/** Underscore names are the original's; the same names with dashes are accepted too. */
export function underscored(args: readonly string[]): string[] {
  return args.map((arg) =>
    /^--[a-z]/.test(arg) ? arg.replace(/^--[^=]+/, (name) => `--${name.slice(2).replaceAll('-', '_')}`) : arg,
  );
}
