import { refuseRequest } from '../errors.js';
import { readLoraModules } from '../runner/lora-modules.js';

/**
 * The original's limits of `--lora_modules`, for which it sets memory aside; 0, or nothing: no limit.
 * @throws REQUEST_INVALID for more adapters, or a higher rank; what `readLoraModules` throws
 */
export async function checkLoraLimits(
  given: Readonly<Record<string, unknown>>,
  modules: Readonly<Record<string, string>> = {},
  allowLinks = false,
): Promise<void> {
  const [most, highest] = [limitOf(given, 'max_loras'), limitOf(given, 'max_lora_rank')];
  const count = Object.keys(modules).length;
  if (count > most) refuseRequest('--max_loras', `at least ${count}, as --lora_modules has, or 0`, most);
  if (highest === Infinity) return;
  for (const { name, rank } of await readLoraModules(modules, { allowLinks }))
    if (rank > highest)
      refuseRequest('--max_lora_rank', `at least ${rank}, the rank of ${name}, or 0`, highest);
}

function limitOf(given: Readonly<Record<string, unknown>>, name: string): number {
  const found = given[name] ?? 0;
  if (!Number.isSafeInteger(found) || Number(found) < 0)
    return refuseRequest(`--${name}`, 'an integer >= 0', found);
  return Number(found) === 0 ? Infinity : Number(found);
}
