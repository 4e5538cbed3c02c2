import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import {
  logMel,
  type MagnitudeMel,
  magnitudeMel,
  paddedLogMel,
  readWav,
  resample,
} from '../../src/media/index.js';
import { soundSamples, wavOf } from './sounds.js';

interface MelFixture {
  readonly samples: number;
  readonly seed: number;
  readonly bins: number;
  /** Samples that are looked at. */
  readonly span: number;
  readonly frames: number;
  /** Of spectrograms of magnitudes. */
  readonly by?: Omit<MagnitudeMel, 'lead' | 'addsFloor'>;
  /** Whether spectra are those of longer frames, silent at their ends. */
  readonly padded?: boolean;
  readonly rows: readonly number[];
  readonly values: readonly (readonly number[])[];
}

const MELS: readonly MelFixture[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../test/fixtures/media/sounds.json'), 'utf8'),
);

const tone = (hz: number, rate: number, seconds: number): Float32Array =>
  Float32Array.from({ length: Math.round(rate * seconds) }, (_, n) =>
    Math.sin((2 * Math.PI * hz * n) / rate),
  );

describe('sound', () => {
  for (const { samples, seed, bins, span, frames, rows, values, by, padded } of MELS)
    it(`of ${samples} samples in ${span} has the spectrogram of transformers in ${bins} bins`, () => {
      const { samples: heard } = readWav(wavOf(soundSamples(samples, seed), 16_000), 'it');
      // Gemma 4's frames begin before the sound, and have what Gemma 3n's have at least in addition.
      const isGemma4 = by?.window === 320;
      const own = { lead: isGemma4 ? 160 : 0, addsFloor: isGemma4 };
      const mel = by
        ? magnitudeMel(heard, frames, { ...by, ...own })
        : (padded ? paddedLogMel : logMel)(heard, bins, { samples: span, frames });
      expect(mel).to.have.length(frames * bins);
      for (const [index, row] of rows.entries())
        for (const [k, expected] of (values[index] ?? []).entries())
          expect(mel[row * bins + 8 * k]).to.be.closeTo(expected, 1e-6);
    }).timeout(20_000);

  it('is read from WAV files of every kind of samples, channels averaged', () => {
    const wave = [0, 0.5, -0.5, 0.25, -1, 0.75];
    const kinds = [
      Uint8Array.from(wave, (x) => 128 + 128 * x),
      Int16Array.from(wave, (x) => 2 ** 15 * x),
      Int32Array.from(wave, (x) => 2 ** 31 * x),
      Float32Array.from(wave),
      Float64Array.from(wave),
    ];
    for (const samples of kinds) {
      const { rate, samples: read } = readWav(wavOf(samples, 8000), 'it');
      expect(rate).to.equal(8000);
      expect([...read], samples.constructor.name).to.deep.equal(wave);
    }
    expect([...readWav(wavOf(Float32Array.from(wave), 8000, 2), 'it').samples]).to.deep.equal([
      0.25, -0.125, -0.125,
    ]);
    const three = wavOf(Uint8Array.of(0, 0, 0x40, 0, 0, 0xc0), 8000);
    three.writeUInt16LE(24, 34);
    expect([...readWav(three, 'it').samples]).to.deep.equal([0.5, -0.5]);
  });

  it('is read of telephony, as G.711 codes it', () => {
    // As libsndfile 1.2 has them.
    const tables: readonly (readonly [kind: number, ...codes: (readonly [code: number, value: number])[]])[] =
      [
        [6, [0x2a, -32_256], [0xaa, 32_256], [0x55, -8], [0xd5, 8], [0x1a, -4032], [0x75, -528]],
        [7, [0x00, -32_124], [0x80, 32_124], [0x7f, 0], [0xff, 0], [0x1a, -10_876], [0xf5, 80]],
      ];
    for (const [kind, ...codes] of tables) {
      const file = wavOf(
        Uint8Array.from(codes, ([code]) => code),
        8000,
      );
      file.writeUInt16LE(kind, 20);
      const heard = [...readWav(file, 'it').samples];
      expect(heard.map((value) => value * 2 ** 15 + 0)).to.deep.equal(codes.map(([, value]) => value));
    }
  });

  it('is read of files whose parts stand otherwise than usual, as libsndfile does', () => {
    const file = wavOf(Int16Array.of(1, -2, 3), 16_000);
    const part = (name: string, ...content: number[]) =>
      Buffer.from([
        ...Buffer.from(name),
        content.length,
        0,
        0,
        0,
        ...content,
        ...Array(content.length % 2).fill(0),
      ]);
    const [head, format, data] = [file.subarray(0, 12), file.subarray(12, 36), file.subarray(36)];
    const extensible = Buffer.concat([
      Buffer.from('fmt \x28\0\0\0'),
      file.subarray(20, 36),
      Buffer.alloc(24),
    ]);
    extensible.writeUInt16LE(0xfffe, 8);
    extensible.writeUInt16LE(1, 32);
    const sized = (whole: number, length: number) => {
      const copy = Buffer.from(file);
      copy.writeUInt32LE(whole, 4);
      copy.writeUInt32LE(length, 40);
      return copy;
    };
    const long = (name: string) => {
      const copy = Buffer.concat([
        head,
        part('ds64', ...Buffer.alloc(8), 6, ...Buffer.alloc(19)),
        format,
        data,
        part('LIST', 1),
      ]);
      copy.write(name, 0);
      copy.writeUInt32LE(0xffffffff, copy.indexOf('data') + 4);
      return copy;
    };
    for (const [what, bytes] of [
      ['a note before the format', Buffer.concat([head, part('LIST', 1, 2, 3), format, data])],
      ['a note before the samples', Buffer.concat([head, format, part('fact', 3, 0, 0, 0), data])],
      ['a note behind them', Buffer.concat([file, part('LIST', 9)])],
      ['a format that is extended', Buffer.concat([head, extensible, data])],
      ['a stream of ffmpeg', sized(0xffffffff, 0xffffffff)],
      ['a stream of sox', sized(0x7ffff024, 0x7ffff000)],
      ['a stream without sizes', sized(0, 0)],
      ['a file whose whole has another size', sized(12, 6)],
      ['RF64', long('RF64')],
      ['BW64', long('BW64')],
    ] as const)
      expect(
        [...readWav(bytes, what).samples].map((value) => value * 2 ** 15),
        what,
      ).to.deep.equal([1, -2, 3]);
  });

  it('is refused where a file lies, is cut off or holds something else', () => {
    const file = wavOf(Int16Array.of(1, 2, 3), 16_000);
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(file);
      copy.writeUInt16LE(value, at);
      return copy;
    };
    for (const [bytes, code] of [
      [new Uint8Array(), 'MEDIA_INVALID'],
      [file.subarray(0, 30), 'MEDIA_INVALID'],
      [file.subarray(0, 46), 'MEDIA_INVALID'],
      [file.subarray(0, 36), 'MEDIA_INVALID'],
      [changed(22, 0), 'MEDIA_INVALID'],
      [changed(24, 0), 'MEDIA_INVALID'],
      [changed(20, 6), 'MEDIA_UNSUPPORTED'],
      [changed(20, 17), 'MEDIA_UNSUPPORTED'],
      [wavOf(Float32Array.of(0, Number.NaN), 16_000), 'MEDIA_INVALID'],
      [wavOf(Float64Array.of(Number.POSITIVE_INFINITY), 16_000), 'MEDIA_INVALID'],
      [changed(34, 12), 'MEDIA_UNSUPPORTED'],
      [wavOf(new Int16Array(), 16_000), 'MEDIA_INVALID'],
    ] as const)
      expect(() => readWav(bytes, 'sound 3')).to.throw(AtbError, new RegExp(`^${code}: sound 3`));
  });

  it('keeps its tones when it is resampled, and loses those that the new rate does not have', () => {
    for (const from of [8000, 22_050, 44_100, 44_101, 48_000, 95_999])
      for (const hz of [100, 440, 3000]) {
        const { samples } = resample({ rate: from, samples: tone(hz, from, 0.3) }, 16_000);
        const ideal = tone(hz, 16_000, 0.3);
        expect(samples.length).to.be.closeTo(ideal.length, 1);
        // Its ends have no neighbours.
        const error = samples.map((sample, n) => Math.abs(sample - (ideal[n] ?? sample))).subarray(400, -400);
        expect(Math.max(...error), `${hz} Hz from ${from}`).to.be.at.most(1e-3);
      }
    const { samples } = resample({ rate: 48_000, samples: tone(12_000, 48_000, 0.2) }, 16_000);
    expect(Math.max(...samples.subarray(400, -400).map(Math.abs))).to.be.at.most(1e-3);
  });
});
