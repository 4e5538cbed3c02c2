import { toDType } from '../../dtype.js';
import type { EncoderInput } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';
import { SOUND_FRAMES } from './patches.js';

/** What convolutions over frames and bins of a sound read, each over every other place of the one before. */
export const HALVED_SOUND = {
  first: 'first_places',
  columns: 'plane_columns',
  rows: 'sound_rows',
  heard: 'heard_rows',
} as const;

/** The rows that stand at one place of what convolution number `stage`, from 1 on, sees. */
export const PLANE_TAP = (stage: number, tap: number): string => `plane_${stage}_tap_${tap}`;

/** Places along a side of what a convolution sees. */
const SIDE = 3;
export const PLANE_AREA = SIDE * SIDE;

/** What such convolutions are told. */
export interface HalvedSound {
  readonly bins: number;
  /** How many there are. */
  readonly halvings: number;
}

/** Bins that are left behind so many convolutions. */
export const halvedBins = (bins: number, halvings: number): number =>
  halvings === 0 ? bins : Math.ceil(halvedBins(bins, halvings - 1) / 2);

/** A plane of one sound: times from `low` on, which is below 0 for those before its own, up to `end`. */
interface Plane {
  readonly low: number;
  readonly end: number;
  readonly bins: number;
}

/** The planes of a sound: its spectrogram, and what comes of each convolution. */
function planesOf({ data, lead = 0 }: EncoderInput, { bins, halvings }: HalvedSound): Plane[] {
  const frames = data.length / bins - lead;
  return Array.from({ length: halvings + 1 }, (_, stage) => ({
    low: lead > 0 ? 1 - 2 ** (halvings - stage) : 0,
    end: Math.ceil(frames / 2 ** stage),
    bins: halvedBins(bins, stage),
  }));
}

const areaOf = ({ low, end, bins }: Plane): number => (end - low) * bins;

/** Which places of planes that follow one another each result sees: [9][results]; beyond their edges the one behind all. */
function seenOf(planes: readonly (readonly [from: Plane, to: Plane])[]): Int32Array[] {
  const all = planes.reduce((sum, [from]) => sum + areaOf(from), 0);
  const results = planes.reduce((sum, [, to]) => sum + areaOf(to), 0);
  const seen = Array.from({ length: PLANE_AREA }, () => new Int32Array(results).fill(all));
  let [at, first] = [0, 0];
  for (const [from, to] of planes) {
    for (let time = to.low; time < to.end; time++)
      for (let bin = 0; bin < to.bins; bin++, at++)
        for (const [tap, places] of seen.entries()) {
          const [row, column] = [2 * time + Math.floor(tap / SIDE) - 1, 2 * bin + (tap % SIDE) - 1];
          if (row < from.low || row >= from.end || column < 0 || column >= from.bins) continue;
          places[at] = first + (row - from.low) * from.bins + column;
        }
    first += areaOf(from);
  }
  return seen;
}

/**
 * Sounds, or stretches of them, hold their frames, [frames, bins], `lead` of them before their own. `sound_frames` [frames,
 * bins] in the model's dtype; `first_places` i64 [results, 9], which of all their numbers the first of `halvings`
 * convolutions sees; `plane_<n>_tap_<k>` i64 [results], for the others which results of the one before stand at place k of
 * what they see; beyond edges the one behind all. `plane_columns` i64 [own rows, bins]: results of one time. `sound_rows` i64
 * [rows]: which of these each row of a stretch is, or the one behind all. `heard_rows` i64 [tokens]: the rows that become
 * tokens, out of two lists of all rows, the second for prompts that show things of another kind, too.
 */
export function halvedSound(sizes: HalvedSound): StepInput {
  const { bins, halvings } = sizes;
  const tapsOf = (stage: number) => Array.from({ length: PLANE_AREA }, (_, tap) => PLANE_TAP(stage, tap));
  const laterStages = Array.from({ length: halvings - 1 }, (_, index) => index + 1);
  const lastBins = halvedBins(bins, halvings);
  return {
    names: [SOUND_FRAMES, ...Object.values(HALVED_SOUND), ...laterStages.flatMap(tapsOf)],
    describe({ rows, dtype }) {
      const list = (count: number) => ({ dtype: 'i64', shape: [count] }) as const;
      const results = (stage: number) => rows * 2 ** (halvings - stage) * halvedBins(bins, stage);
      const taps = laterStages.flatMap((stage) =>
        tapsOf(stage).map((name) => [name, list(results(stage + 1))]),
      );
      return {
        [SOUND_FRAMES]: { dtype, shape: [rows * 2 ** halvings, bins] },
        [HALVED_SOUND.first]: { dtype: 'i64', shape: [results(1), PLANE_AREA] },
        [HALVED_SOUND.columns]: { dtype: 'i64', shape: [rows, lastBins] },
        [HALVED_SOUND.rows]: list(rows),
        [HALVED_SOUND.heard]: list(rows),
        ...Object.fromEntries(taps),
      };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const planes = encoderInputs.map((input) => planesOf(input, sizes));
      const seen = [0, ...laterStages].map((stage) =>
        seenOf(planes.map((all) => [all[stage], all[stage + 1]] as [Plane, Plane])),
      );
      const [first = [], ...later] = seen;
      const results = first[0]?.length ?? 0;
      const places = Int32Array.from(
        { length: results * PLANE_AREA },
        (_, at) => first[at % PLANE_AREA]?.[Math.floor(at / PLANE_AREA)] ?? 0,
      );
      const own = encoderInputs.reduce((sum, { count }) => sum + count, 0);
      const total = encoderInputs.reduce((sum, { rows }) => sum + rows, 0);
      const [rows, heard]: [number[], number[]] = [[], []];
      let [row, token] = [0, 0];
      for (const input of encoderInputs) {
        for (let at = 0; at < input.count; at++) heard.push(row + at + (input.isBesideOthers ? total : 0));
        for (let at = 0; at < input.rows; at++) rows.push(at < input.count ? token + at : own);
        row += input.rows;
        token += input.count;
      }
      const list = (values: readonly number[]) => int64(Int32Array.from(values));
      const columns = Int32Array.from({ length: own * lastBins }, (_, place) => place);
      const frames = new Float32Array(encoderInputs.reduce((sum, { data }) => sum + data.length, 0));
      let at = 0;
      for (const { data } of encoderInputs) {
        frames.set(data, at);
        at += data.length;
      }
      return {
        [SOUND_FRAMES]: toDType(frames, [frames.length / bins, bins], dtype),
        [HALVED_SOUND.first]: { ...int64(places), shape: [results, PLANE_AREA] },
        [HALVED_SOUND.columns]: { ...int64(columns), shape: [own, lastBins] },
        [HALVED_SOUND.rows]: list(rows),
        [HALVED_SOUND.heard]: list(heard),
        ...Object.fromEntries(
          later.flatMap((taps, index) =>
            taps.map((values, tap) => [PLANE_TAP(index + 1, tap), int64(values)]),
          ),
        ),
      };
    },
  };
}
