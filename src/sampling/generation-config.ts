import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';
import { isObject } from '../is-object.js';
import { PRESETS, problemOfDefault, type SamplingDefaults } from './sampling-params.js';
import { checkStops } from './stops.js';
import { tokenRulesIn } from './token-rules.js';

/** What generation_config.json (or config.json, where it lacks) says about generating. */
export interface GenerationConfig {
  /** As the file has them, out of range or not: a request fails at one that it would use. */
  readonly sampling: SamplingDefaults;
  /** Every token that ends a text; empty when the file names none. */
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  /** What the file says that cannot be used, and what it asks for that is not done here. */
  readonly warnings: readonly string[];
}

/** Where a file samples and names no top_k (transformers 5.24, GenerationConfig's defaults). */
const TOP_K_OF_SAMPLING = 50;

/** Keys that change the tokens of `transformers` and have no counterpart here, with the value that asks for nothing. */
const NOT_APPLIED: Readonly<Record<string, unknown>> = {
  num_beams: 1,
  penalty_alpha: 0,
  dola_layers: undefined,
  typical_p: 1,
  top_h: undefined,
  epsilon_cutoff: 0,
  eta_cutoff: 0,
  guidance_scale: 1,
  encoder_repetition_penalty: 1,
  encoder_no_repeat_ngram_size: 0,
  forced_bos_token_id: undefined,
};

/**
 * Reads generation_config.json with the meaning that `transformers` gives it: without `do_sample` the best token is
 * chosen, whatever the temperature; the other numbers apply as soon as a caller asks for a temperature.
 * @throws CONFIG_INVALID for what is no object, and for end tokens that are none
 */
export function parseGenerationConfig(value: unknown, file: string): GenerationConfig {
  if (!isObject(value)) {
    throw new AtbError('CONFIG_INVALID', {
      file,
      problems: [`must be an object, found ${describeValue(value)}`],
    });
  }
  const raw = new Map<string, unknown>(Object.entries(value).filter(([, found]) => found !== null));
  const warnings: string[] = [];
  const warn = (key: string, expected: string, way: string) =>
    warnings.push(`${file}: ${key} must be ${expected}, found ${describeValue(raw.get(key))}; ${way}`);
  const isSampled = raw.get('do_sample') ?? false;
  if (typeof isSampled !== 'boolean') warn('do_sample', 'true or false', 'it is taken as false');

  const listIn = (key: string): unknown[] => {
    const found = raw.get(key) ?? [];
    if (!Array.isArray(found)) warn(key, 'a list', 'it is taken as empty');
    return Array.isArray(found) ? found : [];
  };
  const sampling: Record<string, number> = {};
  for (const [field, key] of PRESETS) {
    const found = raw.get(key);
    if (found === undefined) continue;
    sampling[field] = found as number;
    const expected = problemOfDefault(field, found);
    if (expected !== undefined)
      warn(key, expected, `a request that would use it fails unless it says ${field} itself`);
  }
  if (isSampled === true) sampling.topK ??= TOP_K_OF_SAMPLING;
  sampling.temperature = isSampled === true ? (sampling.temperature ?? 1) : 0;
  for (const [key, nothing] of Object.entries(NOT_APPLIED)) {
    const found = raw.get(key);
    const isEmpty = typeof found === 'object' && found !== null && Object.keys(found).length === 0;
    if (found !== undefined && found !== nothing && !isEmpty)
      warnings.push(`${file}: ${key} is not applied here, found ${describeValue(found)}`);
  }

  const isTokenId = (found: unknown): found is number =>
    Number.isSafeInteger(found) && (found as number) >= 0;
  // −1 is how some exporters write "none".
  const isNone = (found: unknown): boolean => found === undefined || found === -1;
  const tokenId = (key: string): number | undefined => {
    const found = raw.get(key);
    if (isTokenId(found)) return found;
    if (!isNone(found)) warn(key, 'a token id', 'it is taken as none');
    return undefined;
  };
  const eos = raw.get('eos_token_id') ?? [];
  const ends = (Array.isArray(eos) ? eos : [eos]).filter((found) => !isNone(found));
  const problems = ends
    .filter((found) => !isTokenId(found))
    .map((found) => `eos_token_id must be a token id, found ${describeValue(found)}`);
  if (problems.length > 0) throw new AtbError('CONFIG_INVALID', { file, problems });
  const endIds = ends.filter(isTokenId);
  const given = raw.get('bad_words_ids');
  // Words of one token are never chosen, unless they end texts; longer ones are rules.
  const words = (Array.isArray(given) ? given : []).map((word: unknown) => [word].flat());
  const suppressed = [
    ...listIn('suppress_tokens'),
    ...words.flatMap((word) => (word.length === 1 && !endIds.includes(word[0] as number) ? word : [])),
  ].filter(isTokenId);
  const tokenRules = tokenRulesIn(raw, warn);
  const stop = stopsIn(raw.get('stop_strings') ?? [], (expected) =>
    warn('stop_strings', expected, 'it is not applied'),
  );
  return {
    sampling: {
      ...sampling,
      ...(suppressed.length > 0 && { suppressTokens: suppressed }),
      ...(tokenRules && { tokenRules }),
      ...(stop.length > 0 && { stop }),
    },
    eosTokenIds: endIds,
    bosTokenId: tokenId('bos_token_id'),
    padTokenId: tokenId('pad_token_id'),
    warnings,
  };
}

/** Texts that end a text; none where they are malformed, of which `warn` hears. */
function stopsIn(found: unknown, warn: (expected: string) => void): readonly string[] {
  try {
    return checkStops(found);
  } catch (error) {
    if (!(error instanceof AtbError)) throw error;
    warn('a text or a list of texts');
    return [];
  }
}
