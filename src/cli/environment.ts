import { readFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import type { HubOptions } from '../hub/hub-options.js';

/** What the environment may set. The only reader of `process.env`. */
export function environmentOptions(): { readonly nativePath?: string } {
  const nativePath = process.env['ATB_MODELS_NATIVE'];
  return nativePath ? { nativePath } : {};
}

/** The key of a server's clients, so that it stands in no list of processes. */
export function apiKeyOfEnvironment(): string[] {
  const key = process.env['ATB_API_KEY'];
  return key ? [key] : [];
}

/** Where models by name come from, by the variables of huggingface_hub. */
export function hubEnvironment(): HubOptions {
  const { env } = process;
  const home = env['HF_HOME'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface');
  return {
    cacheDir: env['HF_HUB_CACHE'] || env['HUGGINGFACE_HUB_CACHE'] || join(home, 'hub'),
    endpoint: env['HF_ENDPOINT']?.replace(/\/+$/, '') || undefined,
    token: env['HF_TOKEN'] || savedToken(env['HF_TOKEN_PATH'] || join(home, 'token')),
    isOffline: ['1', 'true', 'yes', 'on'].includes((env['HF_HUB_OFFLINE'] ?? '').toLowerCase()),
  };
}

/** What `hf auth login` wrote. */
function savedToken(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Colours and moving progress bars belong on a terminal that wants them. */
export function isInteractive(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}

/** More threads than cores wait for one another: each step takes as long as the slowest of them. */
export function threadWarnings(threads: number | undefined, cores = availableParallelism()): string[] {
  if (threads === undefined || threads <= cores) return [];
  return [
    `--threads ${threads} is more than the ${cores} cores that this process may use, which makes it slower`,
  ];
}
