import { spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { QuantizeMode } from '../../src/weights/quantization.js';

export interface Sizes {
  readonly hidden: number;
  /** Of one expert. */
  readonly width: number;
  readonly experts: number;
  readonly layers: number;
}

const HEADS = { num_attention_heads: 4, num_key_value_heads: 2, head_dim: 32 };
const VOCAB = 512;

/** A qwen3_moe in bf16 all of whose weights are 0: a hole of a file, which takes no room however large it is. */
export function writeExperts({ hidden, width, experts, layers }: Sizes): {
  readonly path: string;
  remove(): void;
} {
  const path = mkdtempSync(join(tmpdir(), 'atb-large-'));
  const config = {
    ...HEADS,
    model_type: 'qwen3_moe',
    dtype: 'bfloat16',
    hidden_size: hidden,
    intermediate_size: width,
    moe_intermediate_size: width,
    num_experts: experts,
    num_experts_per_tok: 4,
    num_hidden_layers: layers,
    max_position_embeddings: 512,
    norm_topk_prob: true,
    tie_word_embeddings: false,
    vocab_size: VOCAB,
  };
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  const shapes: [name: string, shape: number[]][] = [
    ['model.embed_tokens.weight', [VOCAB, hidden]],
    ['model.norm.weight', [hidden]],
    ['lm_head.weight', [VOCAB, hidden]],
  ];
  for (let layer = 0; layer < layers; layer++)
    shapes.push(...shapesOfLayer(layer, { hidden, width, experts }));
  let at = 0;
  const header: Record<string, object> = {};
  for (const [name, shape] of shapes) {
    const bytes = 2 * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(join(path, 'model.safetensors'), 'w');
  writeSync(file, Buffer.concat([length, text]));
  ftruncateSync(file, length.length + text.length + at);
  closeSync(file);
  return { path, remove: () => rmSync(path, { recursive: true }) };
}

function shapesOfLayer(
  layer: number,
  { hidden, width, experts }: Omit<Sizes, 'layers'>,
): [name: string, shape: number[]][] {
  const at = `model.layers.${layer}.`;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: size } = HEADS;
  const gated = (name: string): [string, number[]][] => [
    [`${name}.gate_proj.weight`, [width, hidden]],
    [`${name}.up_proj.weight`, [width, hidden]],
    [`${name}.down_proj.weight`, [hidden, width]],
  ];
  return [
    [`${at}input_layernorm.weight`, [hidden]],
    [`${at}post_attention_layernorm.weight`, [hidden]],
    [`${at}self_attn.q_proj.weight`, [heads * size, hidden]],
    [`${at}self_attn.k_proj.weight`, [kvHeads * size, hidden]],
    [`${at}self_attn.v_proj.weight`, [kvHeads * size, hidden]],
    [`${at}self_attn.o_proj.weight`, [hidden, heads * size]],
    [`${at}self_attn.q_norm.weight`, [size]],
    [`${at}self_attn.k_norm.weight`, [size]],
    [`${at}mlp.gate.weight`, [experts, hidden]],
    ...Array.from({ length: experts }, (_, expert) => gated(`${at}mlp.experts.${expert}`)).flat(),
  ];
}

/**
 * Loads a model in a process of its own, which has loaded a small one before: by how much its memory grew at the most, and
 * what the weights take.
 */
export function loadApart(
  modelPath: string,
  quantize: QuantizeMode | undefined,
): { readonly grownBytes: number; readonly weightBytes: number } {
  const small = writeExperts({ hidden: 64, width: 64, experts: 4, layers: 1 });
  try {
    // What V8 has not collected yet of its young objects is up to 32 MiB, and more on a busy machine; none of it is the load's.
    const args = ['--max-semi-space-size=1', import.meta.filename, small.path, modelPath, quantize ?? ''];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  } finally {
    small.remove();
  }
}

async function loadBoth([small = '', large = '', quantize = '']: readonly string[]): Promise<void> {
  const { ModelRunner } = await import('../../src/runner/model-runner.js');
  const load = (modelPath: string) =>
    ModelRunner.load({
      modelPath,
      threads: 2,
      numBlocks: 1,
      loadTokenizer: false,
      ...(quantize !== '' && { quantize: quantize as QuantizeMode }),
    });
  (await load(small)).dispose();
  const before = process.memoryUsage().rss;
  const runner = await load(large);
  // Not resourceUsage().maxRSS, which begins with what the process had that started this one.
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  const grownBytes = Number(peak?.[1]) * 1024 - before;
  const { weightBytes } = runner.memory();
  process.stdout.write(JSON.stringify({ grownBytes, weightBytes }));
  runner.dispose();
}

if (process.argv[1] === import.meta.filename) await loadBoth(process.argv.slice(2));
