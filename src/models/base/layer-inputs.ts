import type { Phase } from '../../common-op-builders/index.js';
import type { BaseConfig } from '../../layers/config/index.js';

/** The mask input of a layer that slides; others read `attention_mask`. */
export const SLIDING_MASK = 'sliding_attention_mask';

/** Whether a layer's attention reads a mask: only decode over the whole context needs none. */
export const readsMask = (phase: Phase, slides: boolean): boolean => phase !== 'decode' || slides;

/** What a decoder layer reads besides its weights, its KV cache and `hidden_states`; the same for all layers but the mask. */
export function layerInputs(phase: Phase, slides: boolean): string[] {
  return [
    'seq_len',
    'slots_mapping',
    'cos_embedding',
    'sin_embedding',
    ...(phase === 'prefill' ? [] : ['block_tables']),
    ...(phase === 'splitfuse' ? ['q_len'] : []),
    ...(readsMask(phase, slides) ? ['attention_mask'] : []),
  ];
}

/** The masks that a model's graph reads. */
export function maskInputs(phase: Phase, { slidingWindows }: BaseConfig): string[] {
  const full = slidingWindows.some((window) => window === undefined) && readsMask(phase, false);
  const sliding = slidingWindows.some((window) => window !== undefined);
  return [...(full ? ['attention_mask'] : []), ...(sliding ? [SLIDING_MASK] : [])];
}
