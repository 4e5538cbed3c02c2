import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AtbError } from '../errors.js';
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
 * @throws AtbError NATIVE_MISSING when it is in none of the places, or cannot be loaded.
 */
export function loadBinding(nativePath?: string): NativeBinding {
  const looked = addonCandidates(nativePath);
  const file = looked.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new AtbError('NATIVE_MISSING', { looked });
  try {
    return require(file) as NativeBinding;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AtbError('NATIVE_MISSING', { looked: [file], reason }, { cause });
  }
}
