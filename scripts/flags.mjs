// The flags of this folder's and tools/' programs: `--help` prints how one is used, and so does what it does not know.
import { parseArgs } from 'node:util';

/** parseArgs's values and positionals. `usage` is printed as it is. */
export function parseFlags(usage, options, allowPositionals = false) {
  const help = { type: 'boolean', short: 'h', default: false };
  let parsed;
  try {
    parsed = parseArgs({ options: { ...options, help }, allowPositionals });
  } catch (error) {
    refuse(usage, error.message);
  }
  if (parsed.values.help) {
    console.log(usage);
    process.exit(0);
  }
  return parsed;
}

/** Ends the program: `what` is wrong with its flags. */
export function refuse(usage, what) {
  console.error(`${what}\n\n${usage}`);
  process.exit(2);
}
