import { expect } from 'chai';
import { runWithin, TimeLimitExceeded } from '../src/bounded.js';

describe('code that runs within a time', () => {
  it('ends where it takes longer, wherever it is', () => {
    const endless = () => {
      for (;;);
    };
    expect(() => runWithin(50, endless)).to.throw(TimeLimitExceeded, 'took longer than 50 ms');
  });

  it('begins anew where the machine had other things to do', () => {
    let calls = 0;
    const word = new Int32Array(new SharedArrayBuffer(4));
    const starved = () => {
      calls++;
      // Nothing is computed meanwhile, as when other processes have the cores.
      if (calls === 1) Atomics.wait(word, 0, 0, 300);
      return calls;
    };
    expect(runWithin(150, starved)).to.equal(2);
  });
});
