import type { EncoderInput } from '../../media/index.js';
import type { Step } from '../step.js';
import type { StepInput } from '../step-input.js';

/**
 * One of the sizes in which a model sees each picture: a square of patches. Those of all sizes stand one behind the
 * other.
 */
export interface PictureView {
  /** Patches along a side. */
  readonly side: number;
  /** Numbers of a patch. */
  readonly features: number;
  /** Numbers of the sizes before it. */
  readonly before: number;
  /** Patches of a picture in all sizes together. */
  readonly patches: number;
}

const seenBy = (input: EncoderInput, { side, features, before }: PictureView): EncoderInput => ({
  ...input,
  data: input.data.subarray(before, before + side * side * features),
  rows: side * side,
  shape: [1, side, side],
});

/** A step whose things are pictures in one of their sizes. */
function stepOf(step: Step, view: PictureView): Step {
  const encoderInputs = (step.encoderInputs ?? []).map((input) => seenBy(input, view));
  const lens = Int32Array.from(encoderInputs, ({ rows }) => rows);
  return { ...step, encoderInputs, queryLens: lens, seqLens: lens, promptLens: lens };
}

/**
 * What an encoder of pictures in one of their sizes reads, under other names where another encoder, or the model of
 * text, has those.
 */
export const ofView = (
  view: PictureView,
  inputs: readonly StepInput[],
  otherNames: Readonly<Record<string, string>> = {},
): readonly StepInput[] => {
  const nameOf = (name: string): string => otherNames[name] ?? name;
  const renamed = <T>(values: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [nameOf(name), value]));
  return inputs.map(({ names, describe, make, hold }) => ({
    names: names.map(nameOf),
    describe(sizes) {
      const pictures = Math.max(1, Math.floor(sizes.rows / view.patches));
      return renamed(describe({ ...sizes, rows: pictures * view.side ** 2 }));
    },
    ...(make && { make: (step, run) => renamed(make(stepOf(step, view), run)) }),
    ...(hold && { hold: (...facts) => renamed(hold(...facts)) }),
  }));
};
