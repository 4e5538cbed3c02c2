import { AtbError } from '../../errors.js';
import { LAWS } from './g711.js';

/** Sound of one channel. */
export interface Sound {
  /** Samples a second. */
  readonly rate: number;
  /** From -1 to 1. */
  readonly samples: Float32Array;
}

/** Kinds of samples, by their numbers in the format. */
const INTEGERS = 1;
const FLOATS = 3;
const ALAW = 6;
const MULAW = 7;
/** The kind stands in what follows. */
const EXTENSIBLE = 0xfffe;
const MAX_CHANNELS = 64;
const MAX_RATE = 384_000;
/** Writers that do not know the length of what they stream say something about 2^31 or 2^32, or nothing. */
const UNKNOWN_LENGTH = 0x7ff0_0000;
/** Where the true length of samples stands in the part "ds64" of files that may be larger than 2^32 bytes. */
const LONG_LENGTH = 8;

interface Format {
  readonly kind: number;
  readonly channels: number;
  readonly rate: number;
  readonly bits: number;
}

/** Whether bytes begin as a WAV file does. */
export const isWav = (bytes: Uint8Array): boolean =>
  ['RIFF', 'RF64', 'BW64'].includes(textAt(bytes, 0)) && textAt(bytes, 8) === 'WAVE';

const textAt = (bytes: Uint8Array, at: number): string =>
  Buffer.from(bytes.subarray(at, at + 4)).toString('latin1');

/**
 * The samples of a WAV file of integers, of floats or of telephony's codes; channels are averaged. Integers of n bits are
 * divided by 2^(n - 1), as soundfile has it. `what` names the sound in messages.
 * @throws MEDIA_INVALID for what is no such file or is cut off, or has samples that are no numbers, MEDIA_UNSUPPORTED for
 * samples of another kind
 */
export function readWav(bytes: Uint8Array, what: string): Sound {
  const fail = (reason: string): never => {
    throw new AtbError('MEDIA_INVALID', { what, reason });
  };
  if (!isWav(bytes)) fail('it does not begin as a WAV file does');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format: Format | undefined;
  let longLength: number | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [name, length] = [textAt(bytes, at), view.getUint32(at + 4, true)];
    const begin = at + 8;
    const end = name === 'data' ? begin + dataLength(view, begin, length, longLength) : begin + length;
    if (end > bytes.length) fail(`its part "${name}" ends behind the file`);
    if (name === 'ds64' && length >= LONG_LENGTH + 8)
      longLength = Number(view.getBigUint64(begin + LONG_LENGTH, true));
    if (name === 'fmt ') format = formatAt(view, begin, length, what);
    if (name === 'data')
      return samplesOf(view, begin, end, format ?? fail('its samples come before their format'), what);
    at = end + (end % 2);
  }
  return fail('it has no samples');
}

/** Bytes of samples from `begin` on, of which the file says that they are `length`, or elsewhere `longLength`. */
function dataLength(view: DataView, begin: number, length: number, longLength?: number): number {
  if (length === 0xffff_ffff && longLength) return longLength;
  const whole = view.getUint32(4, true);
  const isUnknown = length >= UNKNOWN_LENGTH || (length === 0 && (whole === 0 || whole >= UNKNOWN_LENGTH));
  return isUnknown ? view.byteLength - begin : length;
}

function formatAt(view: DataView, at: number, length: number, what: string): Format {
  const fail = (reason: string): never => {
    throw new AtbError('MEDIA_INVALID', { what, reason });
  };
  if (length < 16) fail('its format is cut off');
  const tag = view.getUint16(at, true);
  if (tag === EXTENSIBLE && length < 40) fail('its format is cut off');
  const format = {
    kind: tag === EXTENSIBLE ? view.getUint16(at + 24, true) : tag,
    channels: view.getUint16(at + 2, true),
    rate: view.getUint32(at + 4, true),
    bits: view.getUint16(at + 14, true),
  };
  const { kind, channels, rate, bits } = format;
  if (channels < 1 || channels > MAX_CHANNELS) fail(`it says that it has ${channels} channels`);
  if (rate < 1 || rate > MAX_RATE) fail(`it says that it has ${rate} samples a second`);
  const isKnown =
    (kind === INTEGERS && [8, 16, 24, 32].includes(bits)) ||
    (kind === FLOATS && [32, 64].includes(bits)) ||
    ((kind === ALAW || kind === MULAW) && bits === 8);
  if (!isKnown)
    throw new AtbError('MEDIA_UNSUPPORTED', {
      what,
      expected: 'samples that are integers of 8, 16, 24 or 32 bits, floats of 32 or 64, A-law or mu-law',
      found: `kind ${kind} of ${bits} bits`,
    });
  return format;
}

function samplesOf(view: DataView, begin: number, end: number, format: Format, what: string): Sound {
  const { channels, rate, bits, kind } = format;
  const size = bits / 8;
  const count = Math.floor((end - begin) / (size * channels));
  if (count === 0) throw new AtbError('MEDIA_INVALID', { what, reason: 'it has no samples' });
  const read = readerOf(view, kind, bits);
  const samples = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += read(begin + (i * channels + channel) * size);
    if (!Number.isFinite(sum))
      throw new AtbError('MEDIA_INVALID', { what, reason: `its sample ${i} is ${sum}` });
    samples[i] = sum / channels;
  }
  return { rate, samples };
}

function readerOf(view: DataView, kind: number, bits: number): (at: number) => number {
  if (kind === FLOATS)
    return bits === 32 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true);
  if (kind === ALAW) return (at) => LAWS.alaw[view.getUint8(at)] as number;
  if (kind === MULAW) return (at) => LAWS.mulaw[view.getUint8(at)] as number;
  switch (bits) {
    case 8:
      // The only ones without a sign.
      return (at) => (view.getUint8(at) - 128) / 128;
    case 16:
      return (at) => view.getInt16(at, true) / 2 ** 15;
    case 24:
      return (at) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 2 ** 23;
    default:
      return (at) => view.getInt32(at, true) / 2 ** 31;
  }
}
