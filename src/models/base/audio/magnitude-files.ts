import { refuseRequest } from '../../../errors.js';
import {
  type Check,
  defineConfig,
  type Field,
  field,
  flag,
  integer,
  listOf,
  only,
  positive,
} from '../../../layers/config/index.js';
import { type MagnitudeMel, MEL_HOP, MEL_RATE } from '../../../media/index.js';
import { type ModelFolder, readProcessorConfig } from '../processor-files.js';

/** What a class of transformers takes where files are silent. */
export interface MagnitudeDefaults {
  /** Of a frame. */
  readonly milliseconds: number;
  readonly low: number;
  readonly high: number;
  readonly preemphasis: number;
  /** Whether spectra are of twice as many samples as there need be. */
  readonly isFine: boolean;
  readonly floor: number;
}

/** What the class does whatever files say. */
export interface MagnitudeKind extends MagnitudeDefaults {
  readonly addsFloor: boolean;
  /** Whether a frame begins half of its length before the sound. */
  readonly leads: boolean;
}

const HERTZ = positive(MEL_RATE, -1);
const NUMBERS = listOf(numberOf(), 'a number for each bin');

function numberOf(): Check<number> {
  return {
    safeParse: (value) =>
      typeof value === 'number' && Number.isFinite(value)
        ? { success: true, data: value }
        : { success: false, error: { issues: [{ message: 'must be a number' }] } },
  };
}
