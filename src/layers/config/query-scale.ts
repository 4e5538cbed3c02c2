import type { QueryScale } from '../../step-inputs/index.js';
import { integer, positive } from './checks.js';
import type { Field } from './fields.js';

export type { QueryScale };

/** How queries grow beyond the length that the model was first trained with, as Mistral says it of a rotary embedding. */
export const queryScale: Field<QueryScale | undefined> = {
  read(json) {
    const rope = json.section('rope_parameters') ?? json.section('rope_scaling');
    const beta = rope?.optional('llama_4_scaling_beta', positive(1e6, -1e-9)) ?? 0;
    const length = rope?.optional('original_max_position_embeddings', integer(2, 2 ** 31 - 1));
    return beta === 0 || length === undefined ? undefined : { beta, length };
  },
};
