/** The dimensions of a decoder, as config.json names them. */
export interface ModelShape {
  readonly name: string;
  readonly modelType: 'llama' | 'qwen2';
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocab: number;
  readonly ropeTheta: number;
  readonly qkvBias: boolean;
}

export const SHAPES: Readonly<Record<string, ModelShape>> = {
  /** Llama-3.2-1B. */
  l1: {
    name: 'l1',
    modelType: 'llama',
    hidden: 2048,
    intermediate: 8192,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    vocab: 128256,
    ropeTheta: 500000,
    qkvBias: false,
  },
  /** Qwen2.5-0.5B. */
  q05: {
    name: 'q05',
    modelType: 'qwen2',
    hidden: 896,
    intermediate: 4864,
    layers: 24,
    heads: 14,
    kvHeads: 2,
    headDim: 64,
    vocab: 151936,
    ropeTheta: 1000000,
    qkvBias: true,
  },
};

/** Tokens that every benchmark may use before it runs into a model's end. */
export const CONTEXT = 16384;

export interface TensorPlan {
  /** Hugging Face name. */
  readonly hf: string;
  /** GGUF name. */
  readonly gguf: string;
  readonly shape: readonly number[];
  /** Norms are ones, biases and matrices are random. */
  readonly kind: 'embedding' | 'matrix' | 'norm' | 'bias';
}

/** Every tensor of a tied decoder of this shape, in file order. */
export function tensorPlans(s: ModelShape): TensorPlan[] {
  const plans: TensorPlan[] = [
    {
      hf: 'model.embed_tokens.weight',
      gguf: 'token_embd.weight',
      shape: [s.vocab, s.hidden],
      kind: 'embedding',
    },
  ];
  const add = (hf: string, gguf: string, shape: number[], kind: TensorPlan['kind']) =>
    plans.push({ hf, gguf, shape, kind });
  const q = s.heads * s.headDim;
  const kv = s.kvHeads * s.headDim;
  for (let i = 0; i < s.layers; i++) {
    const p = `model.layers.${i}`;
    const g = `blk.${i}`;
    add(`${p}.input_layernorm.weight`, `${g}.attn_norm.weight`, [s.hidden], 'norm');
    for (const [name, out] of [
      ['q', q],
      ['k', kv],
      ['v', kv],
    ] as const) {
      add(`${p}.self_attn.${name}_proj.weight`, `${g}.attn_${name}.weight`, [out, s.hidden], 'matrix');
      if (s.qkvBias) add(`${p}.self_attn.${name}_proj.bias`, `${g}.attn_${name}.bias`, [out], 'bias');
    }
    add(`${p}.self_attn.o_proj.weight`, `${g}.attn_output.weight`, [s.hidden, q], 'matrix');
    add(`${p}.post_attention_layernorm.weight`, `${g}.ffn_norm.weight`, [s.hidden], 'norm');
    add(`${p}.mlp.gate_proj.weight`, `${g}.ffn_gate.weight`, [s.intermediate, s.hidden], 'matrix');
    add(`${p}.mlp.up_proj.weight`, `${g}.ffn_up.weight`, [s.intermediate, s.hidden], 'matrix');
    add(`${p}.mlp.down_proj.weight`, `${g}.ffn_down.weight`, [s.hidden, s.intermediate], 'matrix');
  }
  add('model.norm.weight', 'output_norm.weight', [s.hidden], 'norm');
  return plans;
}

/** Parameters of the layers and of the tied embedding. */
export function parameterCounts(s: ModelShape): { layers: number; embedding: number } {
  const embedding = s.vocab * s.hidden;
  const all = tensorPlans(s).reduce((sum, t) => sum + t.shape.reduce((a, b) => a * b, 1), 0);
  return { layers: all - embedding, embedding };
}

/** How many bits a weight has. */
export const FORMATS = {
  bf16: { quantize: undefined, layerBits: 16, headBits: 16 },
  w8a16: { quantize: 'w8a16', layerBits: 8, headBits: 8 },
  w8a8_dynamic: { quantize: 'w8a8_dynamic', layerBits: 8, headBits: 8 },
  // Each group of 64 has a multiplier of 8 bits.
  w4a16: { quantize: 'w4a16', layerBits: 4.125, headBits: 8 },
  w4a8_dynamic: { quantize: 'w4a8_dynamic', layerBits: 4.125, headBits: 8 },
} as const satisfies Record<string, { quantize: string | undefined; layerBits: number; headBits: number }>;
export type Format = keyof typeof FORMATS;
