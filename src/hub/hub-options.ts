import { homedir } from 'node:os';
import { join } from 'node:path';

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

export function cacheDirOf({ cacheDir }: HubOptions): string {
  return cacheDir ?? join(homedir(), '.cache', 'huggingface', 'hub');
}
