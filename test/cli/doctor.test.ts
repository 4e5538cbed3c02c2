import { expect } from 'chai';
import { diagnose, diagnosisText } from '../../src/cli/doctor.js';
import { availableIsas, betterTableText, KERNEL_TABLES, kernelTables } from '../../src/native/index.js';

describe('atb-models doctor', () => {
  it('names every kernel table and what this machine lacks for it', async () => {
    const found = await diagnose();
    const isas = found.kernels.map(({ isa }) => isa);
    expect(isas.at(-1)).to.equal('reference');
    expect(isas).to.deep.equal(KERNEL_TABLES.filter((name) => isas.includes(name)));
    expect(found.kernels.filter(({ missing }) => missing.length === 0).map(({ isa }) => isa)).to.deep.equal(
      availableIsas(),
    );
    expect(found.kernels).to.deep.equal(kernelTables());
    expect(found.addon).to.match(/atb_models\.node$/);
    expect(found.memoryBytes).to.be.above(2 ** 28);
    if (process.platform === 'linux') expect(found.availableBytes).to.be.within(1, found.memoryBytes);
  });

  it('says when the best kernels were left out, as after a move to another CPU', () => {
    const built = { isa: 'avx2', missing: [], isBuilt: true };
    const left = { isa: 'amx', missing: [], isBuilt: false };
    expect(betterTableText([left, built])).to.match(/^this CPU has amx, .*`npm run build:native`/);
    expect(betterTableText([built, { ...left, isa: 'avx' }])).to.equal(undefined);
    expect(betterTableText([{ ...left, missing: ['amx_tile'] }, built])).to.equal(undefined);
  });

  it('says why not a better kernel, and what to do', () => {
    const text = diagnosisText({
      ...{ version: '1.0.0', node: 'v20.0.0', cpu: 'a CPU', cores: 2, memoryBytes: 4 * 2 ** 30 },
      ...{
        availableBytes: 2 ** 30,
        pageCacheBytes: undefined,
        swapBytes: 0,
        hugePages: 'never',
        addon: undefined,
      },
      kernels: [
        { isa: 'amx', missing: ['amx_tile', 'amx_int8'], isBuilt: false },
        { isa: 'avx512', missing: [], isBuilt: false },
        { isa: 'avx2', missing: [], isBuilt: true },
        { isa: 'reference', missing: [], isBuilt: true },
      ],
      tools: { 'c++': 'g++ 12', cmake: undefined },
      ...{ cacheDir: '/cache', isCacheWritable: false, problems: ['large pages are off'] },
    });
    expect(text).to.match(/kernels amx +not here: amx_tile, amx_int8\n/);
    expect(text).to.match(/kernels avx512 +left out of this build: `npm run build:native`\n/);
    expect(text).to.match(/kernels avx2 +used\n/);
    expect(text).to.match(/kernels reference +possible\n/);
    expect(text).to.match(/cmake +not there\n/);
    expect(text).to.match(/memory +4\.00 GiB, 1\.00 GiB free, page cache unknown, swap 0 bytes\n/);
    expect(text).to.match(/model cache +\/cache \(cannot be written\)\n/);
    expect(text).to.match(/problem +large pages are off\n/);
  });
});
