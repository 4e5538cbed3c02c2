// A limit of time is there to end what hangs. On a busy machine everything takes ten times as long, and works.
'use strict';

const LEAST_MS = 600_000;

function lengthen(suite) {
  const hooks = ['_beforeAll', '_beforeEach', '_afterEach', '_afterAll'].flatMap((kind) => suite[kind]);
  for (const runnable of [...hooks, ...suite.tests])
    if (runnable.timeout() !== 0) runnable.timeout(Math.max(runnable.timeout(), LEAST_MS));
  suite.suites.forEach(lengthen);
}

exports.mochaHooks = {
  beforeAll() {
    lengthen(this.test.parent);
  },
};
