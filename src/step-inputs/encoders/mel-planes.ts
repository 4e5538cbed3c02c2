import { toDType } from '../../dtype.js';
import type { EncoderInput } from '../../media/index.js';
import { int64 } from '../integers.js';
import type { StepInput } from '../step-input.js';

/** What convolutions over stretches of a spectrogram read. */
export const MEL_PLANES = {
  patches: 'mel_patches',
  second: 'second_patches',
  third: 'third_patches',
  columns: 'mel_columns',
  positions: 'sound_positions',
} as const;

/** Places of a square that a convolution sees at once, along a side; it goes on by two. */
const SIDE = 3;
const AREA = SIDE * SIDE;

/** Of a plane: bins below each other, frames side by side. */
export interface PlaneSize {
  readonly high: number;
  readonly wide: number;
}

/** What comes of a plane by such a convolution, whose edges are surrounded by zeros. */
const halved = ({ high, wide }: PlaneSize): PlaneSize => ({
  high: Math.floor((high - 1) / 2) + 1,
  wide: Math.floor((wide - 1) / 2) + 1,
});

/** The planes of a stretch: the spectrogram's own, then what comes of three convolutions. */
export const planesOf = (stretch: PlaneSize): readonly [PlaneSize, PlaneSize, PlaneSize, PlaneSize] => {
  const first = halved(stretch);
  const second = halved(first);
  return [stretch, first, second, halved(second)];
};

const areaOf = ({ high, wide }: PlaneSize): number => high * wide;

/**
 * Which places of planes that follow one another a convolution sees at each of its results, -1 beyond the edges: [results,
 * 9], row by row. `above`: whether it begins a row above the first, or with it.
 */
function seenPlaces(planes: readonly PlaneSize[], above: 0 | 1 = 1): Int32Array {
  const results = planes.reduce((sum, size) => sum + areaOf(halved(size)), 0);
  const places = new Int32Array(results * AREA).fill(-1);
  let [at, first] = [0, 0];
  for (const size of planes) {
    const result = halved(size);
    for (let y = 0; y < result.high; y++)
      for (let x = 0; x < result.wide; x++)
        for (let k = 0; k < AREA; k++, at++) {
          const [row, column] = [2 * y + Math.floor(k / SIDE) - above, 2 * x + (k % SIDE) - 1];
          if (row < 0 || row >= size.high || column < 0 || column >= size.wide) continue;
          places[at] = first + row * size.wide + column;
        }
    first += areaOf(size);
  }
  return places;
}

/** The same with a row behind all in place of what is beyond the edges. */
function rowsSeen(planes: readonly PlaneSize[], above: 0 | 1 = 1) {
  const all = planes.reduce((sum, size) => sum + areaOf(size), 0);
  const places = seenPlaces(planes, above).map((place) => (place < 0 ? all : place));
  return { ...int64(places), shape: [places.length / AREA, AREA] };
}

/** Stretches that sounds are cut into, each a plane. */
const stretchesIn = (inputs: readonly EncoderInput[], size: PlaneSize): number =>
  inputs.reduce((sum, { data }) => sum + data.length / areaOf(size), 0);

/**
 * Sounds hold the frames of whole stretches, [frames, bins], and as many rows as a second convolution has results.
 * `mel_patches` [results of the first, 9] in the model's dtype: what a convolution of three bins and three frames
 * sees at every other of them. `second_patches` and `third_patches` i64 [results, 9]: results of the one before that
 * the next ones see; beyond the edges a row of zeros behind all. `mel_columns` i64 [tokens, bins of the third]: of
 * each token its results, those of one time. `sound_positions` i64 [tokens]: their places within a stretch.
 */
export function melPlanes(stretch: PlaneSize): StepInput {
  const [size, first, second, third] = planesOf(stretch);
  const tokensIn = (stretches: number) => stretches * third.wide;
  return {
    names: Object.values(MEL_PLANES),
    describe({ rows, dtype }) {
      const stretches = Math.ceil(rows / areaOf(second));
      const indices = (plane: PlaneSize) =>
        ({ dtype: 'i64', shape: [stretches * areaOf(plane), AREA] }) as const;
      return {
        [MEL_PLANES.patches]: { dtype, shape: [stretches * areaOf(first), AREA] },
        [MEL_PLANES.second]: indices(second),
        [MEL_PLANES.third]: indices(third),
        [MEL_PLANES.columns]: { dtype: 'i64', shape: [tokensIn(stretches), third.high] },
        [MEL_PLANES.positions]: { dtype: 'i64', shape: [tokensIn(stretches)] },
      };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const stretches = stretchesIn(encoderInputs, size);
      const mel = new Float32Array(stretches * areaOf(size));
      const [columns, positions]: [number[], number[]] = [[], []];
      let stretch = 0;
      for (const { data, count } of encoderInputs) {
        mel.set(data, stretch * areaOf(size));
        for (let token = 0; token < count; token++) {
          const [place, plane] = [token % third.wide, stretch + Math.floor(token / third.wide)];
          positions.push(place);
          for (let y = 0; y < third.high; y++) columns.push((plane * third.high + y) * third.wide + place);
        }
        stretch += data.length / areaOf(size);
      }
      const alike = (of: PlaneSize) => Array.from({ length: stretches }, () => of);
      const placed = seenPlaces(alike(size));
      const patches = Float32Array.from(placed, (place) => {
        if (place < 0) return 0;
        // The data has its frames below each other.
        const [plane, within] = [Math.floor(place / areaOf(size)), place % areaOf(size)];
        const [bin, frame] = [Math.floor(within / size.wide), within % size.wide];
        return mel[(plane * size.wide + frame) * size.high + bin] as number;
      });
      return {
        [MEL_PLANES.patches]: toDType(patches, [patches.length / AREA, AREA], dtype),
        [MEL_PLANES.second]: rowsSeen(alike(first)),
        [MEL_PLANES.third]: rowsSeen(alike(second)),
        [MEL_PLANES.columns]: {
          ...int64(Int32Array.from(columns)),
          shape: [positions.length, third.high],
        },
        [MEL_PLANES.positions]: int64(Int32Array.from(positions)),
      };
    },
  };
}

/** How convolutions go over a whole sound. */
export interface WholePlanes {
  readonly bins: number;
  /** Whether each begins a time above the first, or with it. */
  readonly above: 0 | 1;
}

/** The planes of a whole sound, times below each other: its own and what comes of two convolutions. */
export const wholePlanesOf = (frames: number, bins: number): readonly [PlaneSize, PlaneSize, PlaneSize] => {
  const [size, first, second] = planesOf({ high: frames, wide: bins });
  return [size, first, second];
};

/**
 * Sounds hold all their frames, [frames, bins], and as many rows as a second convolution has results. `mel_patches` [results
 * of the first, 9] in the model's dtype: what a convolution of three frames and three bins sees at every other of them.
 * `second_patches` i64 [results, 9]: results of the first that the second sees; beyond the edges a row of zeros behind all.
 * `mel_columns` i64 [tokens, bins of the second]: of each token its results, those of one time.
 */
export function wholeMelPlanes({ bins, above }: WholePlanes): StepInput {
  const { patches, second, columns } = MEL_PLANES;
  const [, { wide: firstBins }, { wide: secondBins }] = wholePlanesOf(1, bins);
  return {
    names: [patches, second, columns],
    describe({ rows, dtype }) {
      const tokens = Math.ceil(rows / secondBins);
      return {
        [patches]: { dtype, shape: [2 * tokens * firstBins, AREA] },
        [second]: { dtype: 'i64', shape: [tokens * secondBins, AREA] },
        [columns]: { dtype: 'i64', shape: [tokens, secondBins] },
      };
    },
    make({ encoderInputs = [] }, { dtype }) {
      const planes = encoderInputs.map(({ data }) => wholePlanesOf(data.length / bins, bins));
      const mel = new Float32Array(encoderInputs.reduce((sum, { data }) => sum + data.length, 0));
      let first = 0;
      for (const { data } of encoderInputs) {
        mel.set(data, first);
        first += data.length;
      }
      const places = seenPlaces(
        planes.map(([size]) => size),
        above,
      );
      const seen = Float32Array.from(places, (place) => mel[place] ?? 0);
      const results = planes.reduce((sum, [, , size]) => sum + areaOf(size), 0);
      return {
        [patches]: toDType(seen, [seen.length / AREA, AREA], dtype),
        [second]: rowsSeen(
          planes.map(([, size]) => size),
          above,
        ),
        [columns]: {
          ...int64(Int32Array.from({ length: results }, (_, place) => place)),
          shape: [results / secondBins, secondBins],
        },
      };
    },
  };
}
