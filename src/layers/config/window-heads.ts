import { HEADS, only } from './checks.js';
import type { Field } from './fields.js';

type Heads = {
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
};

/**
 * Heads of queries in layers with a window, as many as elsewhere where nothing is said: under this name, or in an object
 * of published files, which may repeat what all layers have.
 */
export const windowHeads = (name: string, section: string): Field<number, Heads> => ({
  read(json, { numAttentionHeads, numKeyValueHeads: kvHeads, headDim }) {
    const older = json.section(section);
    older?.value('attention_type', only('sliding_attention'));
    older?.value('num_attention_groups', only(kvHeads));
    for (const size of ['head_dim', 'true_head_dim']) older?.value(size, only(headDim));
    const stated = json.value(name, HEADS) ?? older?.value('num_attention_heads', HEADS);
    const heads = stated ?? numAttentionHeads;
    for (const [count, where] of [[numAttentionHeads, 'all keys'] as const, [heads, 'a window'] as const])
      if (count % kvHeads !== 0)
        json.problem(
          `heads of layers with ${where} (${count}) must be a multiple of those of keys (${kvHeads})`,
        );
    return heads;
  },
});
