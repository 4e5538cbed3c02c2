import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfigDict } from '../../src/router/config-file.js';
import { readModelBytes } from '../../src/tokenizer/model-files.js';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { ggufBytes, type MetadataValue } from '../gguf/gguf-writer.js';
import { tinyStoriesMetadata } from '../gguf/tiny-stories.js';
import type { Random } from './mutate.js';

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/gguf');
const MADE = ['generation_config.json', 'tokenizer_config.json', 'tokenizer.json', 'tokenizer.model'];
const VALUES: readonly MetadataValue[] = [
  ...[0, 1, 2 ** 31, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, true, '', 'llama', 'qwen3moe', 'gpt2'],
  ...[[], [1, 2], ['a', 'b']],
];

/** A GGUF file some bytes of which are others, or whose end is missing; or metadata that say something else. */
export function gguf(folder: string): (random: Random) => Promise<void> {
  const directory = join(folder, 'gguf');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'model.gguf');
  const names = ['qwen2-q4_0', 'mixtral-q5_0', 'qwen2moe-q8_0', 'phi3-q8_0', 'llama-q8_0', 'qwen2-q4_k_m'];
  const models = names.map((name) => readFileSync(join(FIXTURES, `${name}.gguf`)));
  const stories = tinyStoriesMetadata();
  const short = {
    ...stories,
    'tokenizer.ggml.tokens': ['<s>', 'a', 'b', 'ab'],
    'tokenizer.ggml.scores': [0, 0, 0, 0],
    'tokenizer.ggml.token_type': [3, 1, 1, 1],
    'tokenizer.ggml.merges': ['a b'],
  };
  const changed = (random: Random): Buffer => {
    const bytes = Buffer.from(random.pick(models));
    for (let n = random.int(1, 4); n > 0; n--)
      bytes[random.int(0, random.chance(0.5) ? 400 : 3000)] = random.int(0, 255);
    return random.chance(0.2) ? bytes.subarray(0, random.int(0, bytes.length)) : bytes;
  };
  const said = (random: Random): Buffer => {
    const metadata: Record<string, MetadataValue> = { ...short };
    const keys = Object.keys(metadata);
    for (let n = random.int(1, 3); n > 0; n--) metadata[random.pick(keys)] = random.pick(VALUES);
    return ggufBytes(metadata, [
      { name: 'token_embd.weight', shape: [4, 32], type: 0, data: new Uint8Array(512) },
    ]);
  };
  return async (random) => {
    writeFileSync(file, random.chance(0.5) ? changed(random) : said(random));
    for (const name of MADE) await readModelBytes(file, name);
    const checkpoint = await Checkpoint.open(file, { config: await readConfigDict(file) });
    for (const name of checkpoint.tensors.keys()) {
      checkpoint.find(name);
      checkpoint.quantOf(name.replace(/\.weight$/, ''), 'projection');
    }
  };
}
