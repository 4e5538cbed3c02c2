import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FloatDType } from '../../src/dtype.js';
import { type FlatGraph, flatten } from '../../src/graph/flatten.js';
import { DECODER_KINDS, type GraphKind } from '../../src/graph/graph-kind.js';
import type { GraphSpec } from '../../src/graph/graph-spec.js';
import type { DecoderConfig } from '../../src/layers/config/index.js';
import { inputDescs } from '../../src/models/base/input-descs.js';
import { loadModels } from '../../src/models/get-model.js';
import { LlamaRouter } from '../../src/models/llama/index.js';
import { type CausalLM, getRouter } from '../../src/router/index.js';
import { type QuantizeOptions, quantizationPlan } from '../../src/weights/quantization.js';
import { declaredWeights } from '../../src/weights/weights.js';

const SMALL = {
  hidden_size: 64,
  intermediate_size: 112,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  vocab_size: 131,
};
const LAYER_TYPES = ['full_attention', 'sliding_attention', 'sliding_attention'];

/** One configuration of each family, and llama with one key head for each query head and tied embeddings. */
const CONFIGS = {
  llama: { ...SMALL, model_type: 'llama', attention_bias: true, mlp_bias: true },
  'llama-tied': { ...SMALL, model_type: 'llama', num_key_value_heads: 4, tie_word_embeddings: true },
  mistral: { ...SMALL, model_type: 'mistral', head_dim: 32, sliding_window: 24 },
  qwen2: {
    ...SMALL,
    model_type: 'qwen2',
    use_sliding_window: true,
    sliding_window: 20,
    layer_types: LAYER_TYPES,
  },
  qwen3: { ...SMALL, model_type: 'qwen3', head_dim: 32, rms_norm_eps: 1e-6 },
};

export type Family = keyof typeof CONFIGS;
export const FAMILIES = Object.keys(CONFIGS) as readonly Family[];

/** Writes each family's config.json into a folder of its name. */
export function writeConfigs(folder: string): void {
  for (const family of FAMILIES) {
    mkdirSync(join(folder, family));
    writeFileSync(join(folder, family, 'config.json'), JSON.stringify(CONFIGS[family]));
  }
}

/** A model of the family, without weights. */
export async function familyModel(
  family: Family,
  dtype: FloatDType = 'bf16',
  options: QuantizeOptions = {},
): Promise<CausalLM> {
  await loadModels();
  const config = CONFIGS[family];
  const Router = getRouter(config.model_type);
  return new Router('', config).createModel(declaredWeights(dtype, quantizationPlan(options)));
}

/** What llama's config.json says. */
export const llamaConfig = (): DecoderConfig => new LlamaRouter('', CONFIGS.llama).config;

export const flat = (
  model: CausalLM,
  spec: GraphSpec,
  kind: GraphKind,
  dtype: FloatDType = 'bf16',
): FlatGraph => flatten(spec, stepDescs(model, kind, dtype)).graph;

/** What a small step's graph may read. */
export const stepDescs = (model: CausalLM, kind: GraphKind, dtype: FloatDType = 'bf16') =>
  inputDescs(model, kind, dtype, { batch: 2, tokens: 40, blockSize: 16 });

/** Every family with every kind of graph; `phase` is the kind's name. */
export const familyKinds = FAMILIES.flatMap((family) =>
  DECODER_KINDS.map((kind) => ({ family, kind, phase: kind.name })),
);
