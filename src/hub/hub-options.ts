import { homedir } from 'node:os';
import { join } from 'node:path';
import { OBJECT, optionalArgument, PATH, requireArgument } from '../require-argument.js';

/** Where models come from and where they are kept. */
export interface HubOptions {
  /** Folder of the cache, in the layout of huggingface_hub. `~/.cache/huggingface/hub` when absent. */
  readonly cacheDir?: string | undefined;
  /** Address of the hub; https://huggingface.co when absent. */
  readonly endpoint?: string | undefined;
  /** Token for models that are not public. */
  readonly token?: string | undefined;
  /** Nothing is fetched; what is in the cache is used. */
  readonly isOffline?: boolean | undefined;
}

export const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** @throws ARGUMENT_INVALID for what are no options */
export function cacheDirOf(options: HubOptions): string {
  requireArgument('a call of the hub', 'options', OBJECT, options);
  const { cacheDir } = options;
  optionalArgument('a call of the hub', 'options.cacheDir', PATH, cacheDir);
  return cacheDir ?? join(homedir(), '.cache', 'huggingface', 'hub');
}
