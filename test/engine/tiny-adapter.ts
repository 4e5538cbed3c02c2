import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededSafetensors } from '../oracle/seeded-weights.js';

const RANK = 4;
const HIDDEN = 192;
const QUERIES = 192;
const LAYERS = 6;

/** Writes a LoRA adapter of tiny-stories, as peft does, which makes other stories of it. `seed`: others of each. Returns `folder`. */
export function writeTinyAdapter(folder: string, seed = 1): string {
  const query = (layer: number) => `base_model.model.model.layers.${layer}.self_attn.q_proj`;
  const matrix = (shape: readonly number[]) => ({ shape, mean: 0, std: 0.3 });
  const tensors = Array.from({ length: LAYERS }, (_, layer) => [
    [`${query(layer)}.lora_A.weight`, matrix([RANK, HIDDEN])],
    [`${query(layer)}.lora_B.weight`, matrix([QUERIES, RANK])],
  ]).flat();
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'adapter_config.json'),
    JSON.stringify({ peft_type: 'LORA', r: RANK, lora_alpha: 2 * RANK, target_modules: ['q_proj'] }),
  );
  writeFileSync(
    join(folder, 'adapter_model.safetensors'),
    seededSafetensors({ seed, dtype: 'float32', tensors: Object.fromEntries(tensors) }),
  );
  return folder;
}
