import { loadModels } from '../../dist/src/models/get-model.js';
import type { MachineLimits } from '../../dist/src/native/index.js';
import { type CheckpointTensor, writeHuggingFace } from './checkpoints.js';
import { EngineProcess, type OurCommands } from './driver.js';
import { type Config, type SuiteSettings, tensorsOf } from './families.js';
import { median, type Row, Sample } from './results.js';

const EXPERTS = 128;
const CHOSEN = 8;
const PROMPT = 512;
const BATCH = 16;

/**
 * Qwen3-30B-A3B as it is in width. It has one layer and a small vocabulary, so that a checkpoint is made in seconds; what a
 * step costs beside its layers weighs more than in the real model.
 */
const A3B: Config = {
  model_type: 'qwen3_moe',
  hidden_size: 2048,
  intermediate_size: 6144,
  moe_intermediate_size: 768,
  num_hidden_layers: 1,
  num_attention_heads: 32,
  num_key_value_heads: 4,
  head_dim: 128,
  num_experts: EXPERTS,
  num_experts_per_tok: CHOSEN,
  norm_topk_prob: true,
  max_position_embeddings: 2 * PROMPT,
  vocab_size: 1024,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  hidden_act: 'silu',
  torch_dtype: 'bfloat16',
  bos_token_id: 1,
  eos_token_id: 2,
};

const elementsOf = ({ shape }: CheckpointTensor): number => shape.reduce((count, size) => count * size, 1);
const isRouted = ({ hf }: CheckpointTensor): boolean => /\.experts\.\d+\./.test(hf);

/** What a step reads of a tensor in w4a16 when it needs this share of the experts. Each group of 64 has a multiplier of 8 bits. */
export function bytesRead(tensor: CheckpointTensor, expertShare: number): number {
  const { hf, kind } = tensor;
  const elements = elementsOf(tensor);
  if (kind !== 'matrix' || hf.includes('embed_tokens')) return 0;
  if (hf.includes('lm_head')) return elements;
  // A router computes in f32; matrices that are multiplied with queries and results of attention stay floats.
  if (hf.endsWith('.gate.weight')) return elements * 4;
  if (hf.includes('kv_b_proj')) return elements * 2;
  return ((isRouted(tensor) ? expertShare : 1) * elements * 4.125) / 8;
}

/** A workload, and how many tokens it makes of a step. */
interface Workload {
  readonly what: string;
  readonly tokens: number;
  /** Milliseconds of a step. */
  measure(): Promise<number>;
  /** Milliseconds that the machine needs at least. */
  least(limits: MachineLimits): number;
}

/**
 * Experts in 4 bits. Bounds of decode are the bytes of the chosen experts and of all that is not experts; for several
 * sequences, as if each chose its experts by lot. That of a prompt is the time of dense products of as many operations.
 */
export async function benchExperts({ threads, rounds, folder, pool, log }: SuiteSettings): Promise<Row[]> {
  await loadModels();
  const tensors = tensorsOf(A3B, new Set(['lm_head.weight']));
  const model = writeHuggingFace(`${folder}/experts`, tensors, A3B, pool);
  const bytes = (expertShare: number) =>
    tensors.reduce((sum, tensor) => sum + bytesRead(tensor, expertShare), 0);
  const products = tensors
    .filter(({ hf, kind }) => kind === 'matrix' && !/embed_tokens|lm_head/.test(hf))
    .reduce((sum, tensor) => sum + elementsOf(tensor) * (isRouted(tensor) ? CHOSEN / EXPERTS : 1), 0);
  const engine = new EngineProcess<OurCommands>(new URL('./ours.js', import.meta.url));
  const reading = (share: number) => (limits: MachineLimits) =>
    (1000 * bytes(share)) / limits.readBytesPerSecond;
  const workloads: Workload[] = [
    {
      what: 'decode',
      tokens: 1,
      measure: async () => median(await engine.call('decode', { depth: 0, steps: 24 })),
      least: reading(CHOSEN / EXPERTS),
    },
    {
      what: `prefill ${PROMPT}`,
      tokens: PROMPT,
      measure: () => engine.call('prefill', { tokens: PROMPT }),
      least: ({ flops }) => (1000 * 2 * PROMPT * products) / flops,
    },
    {
      what: `decode, batch ${BATCH}`,
      tokens: BATCH,
      measure: async () => median(await engine.call('batch', { batch: BATCH, steps: 12 })),
      least: reading(1 - (1 - CHOSEN / EXPERTS) ** BATCH),
    },
  ];
  try {
    const options = { context: A3B.max_position_embeddings as number, sequences: 2 * BATCH };
    await engine.call('load', { model, threads, quantize: 'w4a16', ...options });
    const rows: Row[] = [];
    for (const { what, tokens, measure, least } of workloads) {
      log(`experts: ${what}`);
      // The first step of a size plans and takes memory.
      await measure();
      const [times, bounds]: [number[], number[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        bounds.push((1000 * tokens) / least(await engine.call('limits', { threads })));
        times.push(await measure());
      }
      const sample = new Sample(times, undefined).map((ms) => (1000 * tokens) / ms, 'more');
      rows.push({ model: 'experts w4a16', what, unit: 'tokens/s', sample, bound: median(bounds) });
    }
    return rows;
  } finally {
    await engine.stop();
  }
}
