import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';
import { PRESETS, problemOfDefault, type SamplingDefaults } from './sampling-params.js';

/** What generation_config.json (or config.json, where it lacks) says about generating. */
export interface GenerationConfig {
  readonly sampling: SamplingDefaults;
  /** Every token that ends a text; empty when the file names none. */
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
}

/**
 * Reads generation_config.json with the meaning that `transformers` gives it: without `do_sample` the best token is
 * chosen, whatever the temperature; the other numbers apply as soon as a caller asks for a temperature.
 * @throws CONFIG_INVALID with every problem.
 */
export function parseGenerationConfig(value: unknown, file: string): GenerationConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AtbError('CONFIG_INVALID', {
      file,
      problems: [`must be an object, found ${describeValue(value)}`],
    });
  }
  const raw = new Map<string, unknown>(Object.entries(value).filter(([, found]) => found !== null));
  const problems: string[] = [];
  const isSampled = raw.get('do_sample') ?? false;
  if (typeof isSampled !== 'boolean')
    problems.push(`do_sample must be true or false, found ${describeValue(isSampled)}`);

  const sampling: Record<string, number> = {};
  for (const [field, key] of PRESETS) {
    const found = raw.get(key);
    if (found === undefined) continue;
    const expected = problemOfDefault(field, found);
    if (expected === undefined) sampling[field] = found as number;
    else problems.push(`${key} must be ${expected}, found ${describeValue(found)}`);
  }
  sampling.temperature = isSampled === true ? (sampling.temperature ?? 1) : 0;

  const tokenId = (key: string, found: unknown): number | undefined => {
    if (found === undefined || (Number.isSafeInteger(found) && (found as number) >= 0))
      return found as number | undefined;
    // −1 is how some exporters write "none".
    if (found !== -1) problems.push(`${key} must be a token id, found ${describeValue(found)}`);
    return undefined;
  };
  const eos = raw.get('eos_token_id') ?? [];
  const eosTokenIds = (Array.isArray(eos) ? eos : [eos]).map((id) => tokenId('eos_token_id', id));
  const bosTokenId = tokenId('bos_token_id', raw.get('bos_token_id'));
  const padTokenId = tokenId('pad_token_id', raw.get('pad_token_id'));
  if (problems.length > 0) throw new AtbError('CONFIG_INVALID', { file, problems });
  return { sampling, eosTokenIds: eosTokenIds.filter((id) => id !== undefined), bosTokenId, padTokenId };
}
