import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type SeededWeights, seededSafetensors } from '../oracle/seeded-weights.js';

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures');

/** What sentence-transformers makes of texts with one checkpoint (tools/oracle/make_sentence_fixtures.py). */
export interface SentenceCase {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: SeededWeights;
  readonly tokenizer: string;
  readonly files: Readonly<Record<string, unknown>>;
  readonly recipes: Readonly<Record<string, SeededWeights>>;
  readonly embedded: readonly {
    readonly text: string;
    readonly options: { readonly prompt_name?: string; readonly prompt?: string };
    readonly vector: readonly number[];
  }[];
  readonly ranked: readonly {
    readonly query: string;
    readonly documents: readonly string[];
    readonly scores: readonly number[];
  }[];
}

export const sentenceCases: readonly string[] = readdirSync(join(FIXTURES, 'sentence'))
  .map((file) => file.replace(/\.json$/, ''))
  .sort();

export const sentenceCase = (name: string): SentenceCase =>
  JSON.parse(readFileSync(join(FIXTURES, 'sentence', `${name}.json`), 'utf8'));

/** A case's directory in a temporary folder; `files` replace its own, undefined removes one. Call `remove` when done. */
export function sentenceCheckpoint(
  { config, weights, tokenizer, files: own, recipes }: SentenceCase,
  files: Readonly<Record<string, unknown>> = {},
): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'atb-sentence-'));
  const { tokenizers } = JSON.parse(readFileSync(join(FIXTURES, 'text/pairs.json'), 'utf8'));
  const { tokenizer: json, config: tokenizerConfig } = tokenizers[tokenizer];
  const all = {
    'config.json': config,
    'tokenizer.json': json,
    'tokenizer_config.json': tokenizerConfig,
    ...own,
    ...files,
  };
  for (const [name, content] of Object.entries(all)) {
    if (content === undefined) continue;
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), JSON.stringify(content));
  }
  for (const [folder, recipe] of Object.entries({ '': weights, ...recipes })) {
    mkdirSync(join(path, folder), { recursive: true });
    writeFileSync(join(path, folder, 'model.safetensors'), seededSafetensors(recipe));
  }
  return { path, remove: () => rmSync(path, { recursive: true }) };
}
