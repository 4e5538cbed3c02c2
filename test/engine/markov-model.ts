import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededValues } from '../oracle/seeded-weights.js';
import { safetensorsBytes } from '../weights/safetensors-writer.js';

export const VOCABULARY = 6;
const WIDTH = 32;
const EPSILON = 1e-6;
const SEED = 5;

const drawn = (name: string, rows: number, std: number, mean = 0) =>
  seededValues(SEED, name, { shape: [rows, WIDTH], mean, std });

const embeddings = () => drawn('embeddings', VOCABULARY, 1);

/** Heads that differ the more, the more `noise` they have. */
function headOf(noise: number): Float32Array {
  const other = drawn('noise', VOCABULARY, noise);
  return drawn('head', VOCABULARY, 0.2).map((value, index) => value + (other[index] as number));
}

/**
 * A Llama of one layer whose attention and MLP give zeros, so that the next token depends on the last one alone, and how
 * likely it is can be said without an engine.
 */
export function writeMarkovModel(folder: string, noise: number): string {
  const layer = 'model.layers.0';
  const square = (name: string, std: number) => [`${layer}.${name}.weight`, drawn(name, WIDTH, std)] as const;
  const ones = (name: string) => [`${name}.weight`, new Float32Array(WIDTH).fill(1)] as const;
  const tensors = [
    ['model.embed_tokens.weight', embeddings()],
    ['lm_head.weight', headOf(noise)],
    ...['model.norm', `${layer}.input_layernorm`, `${layer}.post_attention_layernorm`].map(ones),
    ...['q_proj', 'k_proj', 'v_proj'].map((name) => square(`self_attn.${name}`, 0.1)),
    ...['gate_proj', 'up_proj'].map((name) => square(`mlp.${name}`, 0.1)),
    square('self_attn.o_proj', 0),
    square('mlp.down_proj', 0),
  ] as const;
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'model.safetensors'),
    safetensorsBytes(
      tensors.map(([name, { buffer, length }]) => ({
        name,
        dtype: 'F32',
        shape: length === WIDTH ? [WIDTH] : [length / WIDTH, WIDTH],
        data: new Uint8Array(buffer),
      })),
    ),
  );
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      ...{ model_type: 'llama', architectures: ['LlamaForCausalLM'], torch_dtype: 'float32' },
      ...{ vocab_size: VOCABULARY, hidden_size: WIDTH, intermediate_size: WIDTH, num_hidden_layers: 1 },
      ...{ num_attention_heads: 1, num_key_value_heads: 1, rms_norm_eps: EPSILON, rope_theta: 10000 },
      ...{ max_position_embeddings: 8192, hidden_act: 'silu', tie_word_embeddings: false },
      ...{ bos_token_id: 0, eos_token_id: 1, attention_bias: false, mlp_bias: false, rope_scaling: null },
    }),
  );
  return folder;
}

/** How likely each token is after each, [after][token], at a temperature. */
export function markovProbabilities(noise: number, temperature: number): number[][] {
  const [table, head] = [embeddings(), headOf(noise)];
  const rowOf = (values: Float32Array, row: number) => values.subarray(row * WIDTH, (row + 1) * WIDTH);
  return Array.from({ length: VOCABULARY }, (_, last) => {
    const row = rowOf(table, last);
    const scale = 1 / Math.sqrt(row.reduce((sum, x) => sum + x * x, 0) / WIDTH + EPSILON);
    const masses = Array.from({ length: VOCABULARY }, (__, token) => {
      const logit = rowOf(head, token).reduce((sum, x, i) => sum + x * (row[i] as number) * scale, 0);
      return Math.exp(logit / temperature);
    });
    const total = masses.reduce((sum, mass) => sum + mass, 0);
    return masses.map((mass) => mass / total);
  });
}
