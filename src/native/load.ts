import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AtbError } from '../errors.js';
import { optionalArgument, PATH } from '../require-argument.js';
import type { NativeBinding } from './binding.js';

const require = createRequire(import.meta.url);

/** Where the package's root lies as seen from dist/src/native/. */
const ROOT = new URL('../../../', import.meta.url);

/** Places where the addon may lie, first choice first; only `nativePath` when it is given. */
export function addonCandidates(nativePath?: string): string[] {
  if (nativePath !== undefined) return [nativePath];
  return [
    fileURLToPath(new URL('build/release/atb_models.node', ROOT)),
    fileURLToPath(new URL(`prebuilds/${process.platform}-${process.arch}/atb_models.node`, ROOT)),
  ];
}

/**
 * The addon itself, whose errors are plain Errors with a `code`; `createEngine` wraps it.
 *
 * @param nativePath the addon's file; build/release, then prebuilds/<platform>-<arch> when absent.
 * @throws AtbError NATIVE_MISSING when it is in none of the places, cannot be loaded, or is something else.
 */
export function loadBinding(nativePath?: string): NativeBinding {
  optionalArgument('the addon', 'nativePath', PATH, nativePath);
  const looked = addonCandidates(nativePath);
  const remedy = remedyFor(nativePath);
  const file = looked.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new AtbError('NATIVE_MISSING', { looked, remedy });
  try {
    return bindingOf(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AtbError('NATIVE_MISSING', { looked: [file], reason, remedy }, { cause });
  }
}

/** SHA-256 of the addon's file: what one build has packed, another may pack otherwise. @throws as `loadBinding` */
export function addonDigest(nativePath?: string): string {
  loadBinding(nativePath);
  const file = addonCandidates(nativePath).find((candidate) => existsSync(candidate)) ?? '';
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function bindingOf(file: string): NativeBinding {
  // Anything else would be run as JavaScript.
  if (!file.endsWith('.node')) throw new Error('its name does not end in .node');
  const found: unknown = require(file);
  if (!isBinding(found)) throw new Error("it is another program's addon");
  return found;
}

const isBinding = (found: unknown): found is NativeBinding =>
  typeof found === 'object' && found !== null && 'Engine' in found && 'supportedOps' in found;

/** What brings the addon: where this package is a dependency of another, its own scripts are out of reach. */
function remedyFor(nativePath: string | undefined): string {
  const isDependency = /[\\/]node_modules[\\/]/.test(fileURLToPath(ROOT));
  const build = isDependency ? 'npm rebuild atb-models' : 'npm run build:native';
  if (nativePath === undefined) return `run \`${build}\``;
  return `correct nativePath (the command line's ATB_MODELS_NATIVE), or leave it out for what \`${build}\` makes`;
}
