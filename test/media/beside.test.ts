import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { beside, type Picture, patchesOf, resize, tilesOf } from '../../src/media/index.js';
import { picture } from './pictures.js';

const VALUES = { rescale: 1 / 255, mean: [0.5, 0.4, 0.3], std: [0.25, 0.3, 0.35] };
const SIZES = { patchSize: 14, temporalPatchSize: 2, mergeSize: 2 };

describe('the thread beside the event loop', () => {
  it('gives what the loop itself would, to several at once', async () => {
    const sources = [picture(90, 70, 1), picture(31, 200, 2)] as const;
    const size = { width: 56, height: 84 };
    const resized = sources.map((source) => resize(source, size, 'bicubic')) as [Picture, Picture];
    const found = await Promise.all(sources.map((source) => beside('resize', source, size, 'bicubic')));
    expect(found).to.deep.equal(resized);
    expect(await beside('patchesOf', resized, VALUES, SIZES)).to.deep.equal(
      patchesOf(resized, VALUES, SIZES),
    );
    const sizes = { side: 20, minTiles: 1, maxTiles: 3 };
    expect(await beside('tilesOf', sources[0], sizes, true)).to.deep.equal(tilesOf(sources[0], sizes, true));
    expect(sources[0].data.length, 'what was given is still there').to.equal(90 * 70 * 3);
  });

  it('leaves the loop free meanwhile', async () => {
    let turns = 0;
    let next: NodeJS.Immediate | undefined;
    const turn = (): void => {
      turns++;
      next = setImmediate(turn);
    };
    const result = beside('resize', picture(1500, 1000, 3), { width: 1000, height: 700 }, 'lanczos');
    turn();
    await result;
    clearImmediate(next);
    expect(turns).to.be.greaterThan(20);
  });

  it('throws what the work throws', async () => {
    const refused = beside('middleSquare', picture(1, 300, 1), 10, 10, 'the picture');
    const error = await refused.catch((thrown: AtbError) => thrown);
    expect(error).to.be.instanceOf(AtbError).and.include({ code: 'MEDIA_UNSUPPORTED' });
  });

  it('tells those who wait when it ends, and is there for the next', async () => {
    const broken = { width: 2, height: 2, data: null } as unknown as Picture;
    const size = { width: 1, height: 1 };
    const error = await beside('resize', broken, size, 'bicubic').catch((thrown: AtbError) => thrown);
    expect(error).to.include({ code: 'REQUEST_FAILED' });
    const { data } = await beside('resize', picture(4, 4, 1), size, 'bicubic');
    expect([...data]).to.deep.equal([...resize(picture(4, 4, 1), size, 'bicubic').data]);
  });
});
