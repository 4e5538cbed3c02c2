import { loadModels } from '../../dist/src/models/get-model.js';
import { writeHuggingFace } from './checkpoints.js';
import { newOurs } from './driver.js';
import { bytesRead } from './experts.js';
import { type SuiteSettings, tensorsOf } from './families.js';
import { median, type Row, Sample } from './results.js';
import type { Config } from './widths.js';

/** Tokens in the cache where decode is measured. */
const DEPTH = 4096;
const CONTEXT = DEPTH + 512;
const EXPERTS = 16;
const CHOSEN = 6;

/**
 * DeepSeek-V2-Lite as it is in width. Layers, vocabulary and experts are fewer, so that a checkpoint is made in seconds: a
 * token reads as many bytes of a layer, because it is given to as many experts.
 */
const LITE: Config = {
  model_type: 'deepseek_v2',
  hidden_size: 2048,
  intermediate_size: 10_944,
  moe_intermediate_size: 1408,
  num_hidden_layers: 4,
  first_k_dense_replace: 1,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  q_lora_rank: null,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  n_routed_experts: EXPERTS,
  n_shared_experts: 2,
  num_experts_per_tok: CHOSEN,
  routed_scaling_factor: 1,
  max_position_embeddings: CONTEXT,
  vocab_size: 1024,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  hidden_act: 'silu',
  torch_dtype: 'bfloat16',
  bos_token_id: 1,
  eos_token_id: 2,
};

/** Decode of latent attention in 4 bits, with an empty cache and deep in it, beside reading weights and cache once. */
export async function benchLatent({ threads, rounds, folder, pool, log }: SuiteSettings): Promise<Row[]> {
  await loadModels();
  const tensors = tensorsOf(LITE, new Set());
  const model = writeHuggingFace(`${folder}/latent`, tensors, LITE, pool);
  const engine = newOurs();
  try {
    await engine.call('load', { model, threads, context: CONTEXT, sequences: 1, quantize: 'w4a16' });
    const weights = tensors.reduce((sum, tensor) => sum + bytesRead(tensor, CHOSEN / EXPERTS), 0);
    const cached = 4 * (512 + 64) * 2;
    const rows: Row[] = [];
    for (const depth of [0, DEPTH]) {
      log(`latent: decode at depth ${depth}`);
      await engine.call('decode', { depth, steps: 4 });
      const [times, bounds]: [number[], number[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        const { readBytesPerSecond } = await engine.call('limits', { threads });
        bounds.push(readBytesPerSecond / (weights + depth * cached));
        times.push(median(await engine.call('decode', { depth, steps: 12 })));
      }
      const sample = new Sample(times).map((ms) => 1000 / ms, 'more');
      rows.push({
        model: 'latent w4a16',
        what: depth === 0 ? 'decode' : `decode at depth ${depth}`,
        unit: 'tokens/s',
        sample,
        bound: median(bounds),
      });
    }
    return rows;
  } finally {
    await engine.stop();
  }
}
