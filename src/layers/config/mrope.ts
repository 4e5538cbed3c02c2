import type { RopeConfig } from '../../step-inputs/index.js';
import { integer, listOf, oneOf, only } from './checks.js';
import type { Field } from './fields.js';

/** How many frequencies of a head turn by time, by height and by width; what does not turn counts as the last one's. */
export const mropeSections = sectionsOr(undefined);

/** The same, with what holds where config.json is silent; undefined: it must not be. */
export function sectionsOr(
  fallback: readonly number[] | undefined,
): Field<readonly number[], { readonly headDim: number; readonly rope: Pick<RopeConfig, 'rotaryDim'> }> {
  return {
    read(json, { headDim, rope: { rotaryDim } }) {
      const section = json.section('rope_parameters') ?? json.section('rope_scaling');
      const sections =
        section?.value('mrope_section', listOf(integer(0, 1000), 'integers')) ??
        fallback ??
        (section ? section.missing('mrope_section') : json.missing('rope_scaling'));
      const sum = sections.reduce((all, one) => all + one, 0);
      if (sections.length !== 3 || sum !== rotaryDim / 2)
        (section ?? json).problem(
          `mrope_section must be 3 counts that make half of what turns of a head (${rotaryDim}), found ${sections}`,
        );
      return sections.map((count, axis) => (axis === 2 ? count + headDim / 2 - sum : count));
    },
  };
}

/** Axes always take turns, whether the file says it or not. */
export const axesTakeTurns: Field<true> = {
  read(json) {
    for (const name of ['rope_parameters', 'rope_scaling'])
      for (const key of ['mrope_interleaved', 'interleaved']) json.section(name)?.value(key, only(true));
    return true;
  },
};
