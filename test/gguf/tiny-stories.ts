import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { type MetadataValue, type WrittenTensor, writeGguf } from './gguf-writer.js';

export const TINY_STORIES = 'examples/models/tiny-stories';
const HEADS: Readonly<Record<string, number>> = { q_proj: 6, k_proj: 2 };
const NAMES: ReadonlyArray<readonly [pattern: RegExp, name: string]> = [
  [/^model\.embed_tokens/, 'token_embd'],
  [/^model\.norm/, 'output_norm'],
  [/^model\.layers\.(\d+)\.input_layernorm/, 'blk.$1.attn_norm'],
  [/^model\.layers\.(\d+)\.post_attention_layernorm/, 'blk.$1.ffn_norm'],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj/, 'blk.$1.attn_output'],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj/, 'blk.$1.attn_$2'],
  [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj/, 'blk.$1.ffn_$2'],
];
const [F32, BF16] = [0, 30];

const widened = (data: Uint8Array): Uint8Array => {
  const words = new Uint16Array(new Uint8Array(data).buffer);
  return new Uint8Array(Uint32Array.from(words, (word) => word * 2 ** 16).buffer);
};

/** Rows as llama.cpp turns them: neighbours in place of halves of heads. */
function turned(bytes: Uint8Array, rows: number, heads: number): Uint8Array {
  const rowBytes = bytes.length / rows;
  const half = rows / heads / 2;
  const row = (head: number, j: number, i: number) => (head * 2 + j) * half + i;
  const order = Array.from({ length: rows }, (_, at) => {
    const [head, inner] = [Math.floor(at / (2 * half)), at % (2 * half)];
    return row(head, inner % 2, Math.floor(inner / 2));
  });
  return Buffer.concat(order.map((from) => bytes.subarray(from * rowBytes, (from + 1) * rowBytes)));
}

async function tensors(): Promise<WrittenTensor[]> {
  const checkpoint = await Checkpoint.open(TINY_STORIES);
  return [...checkpoint.tensors].map(([name, { file, offset, bytes, shape }]) => {
    const data = readFileSync(file).subarray(offset, offset + bytes);
    const renamed = NAMES.reduce((left, [pattern, to]) => left.replace(pattern, to), name);
    // llama.cpp wants what is added or multiplied in f32.
    if (shape.length === 1) return { name: renamed, shape, type: F32, data: widened(data) };
    const heads = HEADS[/(q_proj|k_proj)\.weight$/.exec(name)?.[1] ?? ''];
    return {
      name: renamed,
      shape,
      type: BF16,
      data: heads === undefined ? data : turned(data, shape[0] ?? 0, heads),
    };
  });
}

/** What the metadata says of the bundled checkpoint. */
export function tinyStoriesMetadata(): Record<string, MetadataValue> {
  const read = (name: string) => JSON.parse(readFileSync(join(TINY_STORIES, name), 'utf8'));
  const { model, added_tokens: added } = read('tokenizer.json');
  const tokens: string[] = [];
  for (const [token, id] of Object.entries<number>(model.vocab)) tokens[id] = token;
  for (const { id, content } of added) tokens[id] = content;
  const special = new Set<number>(added.map(({ id }: { id: number }) => id));
  return {
    'general.architecture': 'llama',
    'llama.context_length': 512,
    'llama.embedding_length': 192,
    'llama.block_count': 6,
    'llama.feed_forward_length': 512,
    'llama.attention.head_count': 6,
    'llama.attention.head_count_kv': 2,
    'llama.attention.layer_norm_rms_epsilon': 1e-5,
    'llama.rope.dimension_count': 32,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': Int32Array.from(tokens, (_, id) => (special.has(id) ? 3 : 1)),
    'tokenizer.ggml.merges': model.merges.map((merge: string | string[]) =>
      typeof merge === 'string' ? merge : merge.join(' '),
    ),
    'tokenizer.ggml.bos_token_id': 0,
    'tokenizer.ggml.eos_token_id': 1,
    'tokenizer.ggml.add_bos_token': true,
    'tokenizer.chat_template': read('tokenizer_config.json').chat_template ?? '',
  };
}

/** The bundled checkpoint as a GGUF file, its numbers as they are. */
export const writeTinyStories = async (path: string): Promise<string> =>
  writeGguf(path, tinyStoriesMetadata(), await tensors());
