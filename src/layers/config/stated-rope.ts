import type { Field } from './fields.js';

/** Refuses a config.json without a rotary embedding, in whose place the family's class takes a scaled one of its own. */
export const statedRope = (className: string): Field<true> => ({
  read(json) {
    if (!(json.section('rope_parameters') ?? json.section('rope_scaling')))
      json.problem(`rope_parameters is missing: the one that ${className} takes in its place is not built`);
    return true;
  },
});
