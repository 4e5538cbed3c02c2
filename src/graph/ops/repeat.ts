import { fixed, lackingLists, type OpDefinition, unless } from './definition.js';

/** x -> copies along each axis, by their counts; axes may be added in front. */
export interface RepeatParam {
  readonly multiples: readonly number[];
}

export const repeat: OpDefinition<'Repeat', RepeatParam> = {
  type: 'Repeat',
  lacks: lackingLists('multiples'),
  arity: fixed(1, 1),
  shapes(inputs, { multiples }) {
    const { dtype, shape } = inputs.at(0);
    const added = multiples.length - shape.length;
    if (added < 0) inputs.fail(`multiples [${multiples}] has fewer entries than the ${shape.length} axes`);
    return [{ dtype, shape: multiples.map((copies, axis) => copies * (shape[axis - added] ?? 1)) }];
  },
  atb: {
    // repeat_operation.cpp, ParamCheck.
    problems: ({ multiples }) =>
      unless(
        multiples.every((copies) => copies > 0),
        `multiples must be positive, found [${multiples}]`,
      ),
  },
};
