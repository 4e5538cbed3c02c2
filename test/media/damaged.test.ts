import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { decodePicture, readWav } from '../../src/media/index.js';
import { pictureFile, pictureFixtures } from './pictures.js';
import { soundSamples, wavOf } from './sounds.js';

/** A generator of small integers, the same each time. */
function chances(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A copy with some bytes changed, perhaps cut off, most of it near the beginning, where headers are. */
function damaged(file: Buffer, chance: (below: number) => number): Buffer {
  const copy = Buffer.from(file.subarray(0, chance(3) === 0 ? chance(file.length) : file.length));
  for (let i = chance(6); i >= 0 && copy.length > 0; i--)
    copy[chance(chance(2) === 0 ? Math.min(64, copy.length) : copy.length)] = chance(256);
  return copy;
}

describe('files that are damaged', function () {
  this.timeout(60_000);

  it('are pictures or errors of a known kind, whatever they hold', async () => {
    const chance = chances(1);
    const limits = { maxBytes: 2 ** 20, maxPixels: 2 ** 20 };
    const found = { pictures: 0, errors: 0 };
    for (let round = 0; round < 240; round++) {
      const { name } = pictureFixtures.decoded[round % pictureFixtures.decoded.length] as { name: string };
      try {
        const { width, height, data } = await decodePicture(damaged(pictureFile(name), chance), 'it', limits);
        expect(data.length).to.equal(width * height * 3);
        found.pictures++;
      } catch (error) {
        expect(error, name).to.be.instanceOf(AtbError);
        expect((error as AtbError).code).to.match(/^MEDIA_/);
        found.errors++;
      }
    }
    expect(found.pictures).to.be.greaterThan(20);
    expect(found.errors).to.be.greaterThan(20);
  });

  it('are sounds or errors of a known kind, whatever they hold', () => {
    const chance = chances(2);
    const file = wavOf(soundSamples(600, 1), 16_000);
    let errors = 0;
    for (let round = 0; round < 3000; round++) {
      try {
        const { samples } = readWav(damaged(file, chance), 'it');
        expect(samples.length).to.be.within(1, 2400);
      } catch (error) {
        expect(error).to.be.instanceOf(AtbError);
        expect((error as AtbError).code).to.match(/^MEDIA_/);
        errors++;
      }
    }
    expect(errors).to.be.within(100, 2900);
  });
});
