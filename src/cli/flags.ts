/** Underscore names are the original's; the same names with dashes are accepted too. */
export function underscored(args: readonly string[]): string[] {
  return args.map((arg) =>
    /^--[a-z]/.test(arg) ? arg.replace(/^--[^=]+/, (name) => `--${name.slice(2).replaceAll('-', '_')}`) : arg,
  );
}

/** Of every command that reads a checkpoint. */
export const MODEL_DIRS_FLAG = {
  model_dirs: {
    type: 'string',
    array: true,
    default: [] as string[],
    describe: 'folders with model directories',
  },
} as const;
