import { loadModels } from '../../dist/src/models/get-model.js';
import type { MachineLimits } from '../../dist/src/native/index.js';
import { type CheckpointTensor, numel, writeHuggingFace } from './checkpoints.js';
import { type EngineProcess, newOurs } from './driver.js';
import { isRouted, type SuiteSettings, tensorsOf } from './families.js';
import { type GgufModel, type GgufTensor, writeGgufFile } from './gguf.js';
import type { PoolFormat } from './random-pool.js';
import { median, type Row, Sample } from './results.js';
import type { Config } from './widths.js';

const EXPERTS = 128;
const CHOSEN = 8;
const PROMPT = 512;
const BATCH = 16;

/**
 * Qwen3-30B-A3B as it is in width. Of its 48 layers it has 4, 2.5 billion weights, and a small vocabulary, so that a checkpoint
 * is made in seconds and no processor's last cache holds what a step reads.
 */
const A3B: Config = {
  model_type: 'qwen3_moe',
  hidden_size: 2048,
  intermediate_size: 6144,
  moe_intermediate_size: 768,
  num_hidden_layers: 4,
  num_attention_heads: 32,
  num_key_value_heads: 4,
  head_dim: 128,
  num_experts: EXPERTS,
  num_experts_per_tok: CHOSEN,
  norm_topk_prob: true,
  max_position_embeddings: 2 * PROMPT,
  vocab_size: 4096,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  hidden_act: 'silu',
  torch_dtype: 'bfloat16',
  bos_token_id: 1,
  eos_token_id: 2,
};

/** What llama.cpp calls the tensors of a layer, and in which format it has them beside int4. */
const PEER_NAMES: Readonly<Record<string, readonly [name: string, format?: PoolFormat]>> = {
  input_layernorm: ['attn_norm', 'f32'],
  'self_attn.q_proj': ['attn_q'],
  'self_attn.k_proj': ['attn_k'],
  'self_attn.v_proj': ['attn_v'],
  'self_attn.o_proj': ['attn_output'],
  'self_attn.q_norm': ['attn_q_norm', 'f32'],
  'self_attn.k_norm': ['attn_k_norm', 'f32'],
  post_attention_layernorm: ['ffn_norm', 'f32'],
  'mlp.gate': ['ffn_gate_inp', 'f32'],
  'mlp.experts.gate_proj': ['ffn_gate_exps'],
  'mlp.experts.up_proj': ['ffn_up_exps'],
  'mlp.experts.down_proj': ['ffn_down_exps'],
  embed_tokens: ['token_embd'],
  norm: ['output_norm', 'f32'],
  lm_head: ['output', 'q6_k'],
};

/** The peer's tensor of which a tensor is all or a part. */
function peerTensor({ hf, shape }: CheckpointTensor): Pick<GgufTensor, 'name' | 'shape' | 'format'> {
  const [, layer, own = ''] = /^(?:model\.)?(?:layers\.(\d+)\.)?(.+)\.weight$/.exec(hf) ?? [];
  const routed = isRouted({ hf });
  const found = PEER_NAMES[routed ? own.replace(/\.\d+\./, '.') : own];
  if (!found) throw new Error(`what does llama.cpp call ${hf}?`);
  const [name, format = 'q4_0'] = found;
  return {
    name: `${layer === undefined ? '' : `blk.${layer}.`}${name}.weight`,
    shape: routed ? [EXPERTS, ...shape] : shape,
    format,
  };
}

/** The same model as the peer reads it: experts' tensors lie in stacks. */
function peerModel(tensors: readonly CheckpointTensor[]): GgufModel {
  const stacks = new Map<string, GgufTensor & { of: GgufTensor['of'][number][] }>();
  tensors.forEach((tensor, index) => {
    const own = peerTensor(tensor);
    const stack = stacks.get(own.name) ?? { ...own, of: [] };
    stacks.set(own.name, stack);
    stack.of.push({ ...tensor, index });
  });
  return {
    architecture: 'qwen3moe',
    vocab: A3B.vocab_size as number,
    integers: {
      context_length: A3B.max_position_embeddings as number,
      embedding_length: A3B.hidden_size as number,
      block_count: A3B.num_hidden_layers as number,
      feed_forward_length: A3B.intermediate_size as number,
      expert_feed_forward_length: A3B.moe_intermediate_size as number,
      expert_count: EXPERTS,
      expert_used_count: CHOSEN,
      'attention.head_count': A3B.num_attention_heads as number,
      'attention.head_count_kv': A3B.num_key_value_heads as number,
      'attention.key_length': A3B.head_dim as number,
      'attention.value_length': A3B.head_dim as number,
    },
    floats: { 'rope.freq_base': A3B.rope_theta as number, 'attention.layer_norm_rms_epsilon': 1e-6 },
    tensors: [...stacks.values()],
  };
}

/** What a step reads of a tensor in w4a16 when it needs this share of the experts. Each group of 64 has a multiplier of 8 bits. */
export function bytesRead(tensor: CheckpointTensor, expertShare: number): number {
  const { hf, kind } = tensor;
  const elements = numel(tensor);
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
  measure(engine: EngineProcess): Promise<number>;
  /** Milliseconds that the machine needs at least. */
  least(limits: MachineLimits): number;
}

/**
 * Experts in 4 bits, ours and the peer's where there is one. Bounds of decode are the bytes of the chosen experts and of all that is not experts; for several
 * sequences, as if each chose its experts by lot. That of a prompt is the time of dense products of as many operations.
 */
export async function benchExperts(settings: SuiteSettings): Promise<Row[]> {
  const { threads, rounds, folder, pool, log } = settings;
  await loadModels();
  const tensors = tensorsOf(A3B, new Set(['lm_head.weight']));
  const model = writeHuggingFace(`${folder}/experts`, tensors, A3B, pool);
  const bytes = (expertShare: number) =>
    tensors.reduce((sum, tensor) => sum + bytesRead(tensor, expertShare), 0);
  const products = tensors
    .filter(({ hf, kind }) => kind === 'matrix' && !/embed_tokens|lm_head/.test(hf))
    .reduce((sum, tensor) => sum + numel(tensor) * (isRouted(tensor) ? CHOSEN / EXPERTS : 1), 0);
  const ours = newOurs();
  const peer = settings.llamaCpp?.start();
  const engines: EngineProcess[] = peer ? [ours, peer] : [ours];
  const reading = (share: number) => (limits: MachineLimits) =>
    (1000 * bytes(share)) / limits.readBytesPerSecond;
  const workloads: Workload[] = [
    {
      what: 'decode',
      tokens: 1,
      measure: async (engine) => median(await engine.call('decode', { depth: 0, steps: 24 })),
      least: reading(CHOSEN / EXPERTS),
    },
    {
      what: `prefill ${PROMPT}`,
      tokens: PROMPT,
      measure: (engine) => engine.call('prefill', { tokens: PROMPT }),
      least: ({ flops }) => (1000 * 2 * PROMPT * products) / flops,
    },
    {
      what: `decode, batch ${BATCH}`,
      tokens: BATCH,
      measure: async (engine) => median(await engine.call('batch', { batch: BATCH, steps: 12 })),
      least: reading(1 - (1 - CHOSEN / EXPERTS) ** BATCH),
    },
  ];
  try {
    const options = { threads, context: A3B.max_position_embeddings as number, sequences: 2 * BATCH };
    await ours.call('load', { model, quantize: 'w4a16', ...options });
    if (peer) {
      const file = writeGgufFile(`${folder}/experts.gguf`, peerModel(tensors), pool);
      await peer.call('load', { model: file, ...options });
    }
    const rows: Row[] = [];
    for (const { what, tokens, measure, least } of workloads) {
      log(`experts: ${what}`);
      // The first step of a size plans and takes memory.
      for (const engine of engines) await measure(engine);
      const times: [number[], number[]] = [[], []];
      const bounds: number[] = [];
      for (let round = 0; round < rounds; round++) {
        bounds.push((1000 * tokens) / least(await ours.call('limits', { threads })));
        for (const [i, engine] of engines.entries()) times[i]?.push(await measure(engine));
      }
      const sample = new Sample(times[0], peer && times[1]).map((ms) => (1000 * tokens) / ms, 'more');
      rows.push({ model: 'experts w4a16', what, unit: 'tokens/s', sample, bound: median(bounds) });
    }
    return rows;
  } finally {
    await Promise.all(engines.map((engine) => engine.stop()));
  }
}
