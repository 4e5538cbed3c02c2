'use strict';
const { availableParallelism } = require('node:os');

// Test files run beside one another. Each may take a gigabyte and threads of its own, so many cores are not all used.
module.exports = {
  spec: ['dist/test/**/*.test.js'],
  require: ['./test/reporters/summary.cjs', './test/reporters/patience.cjs'],
  reporter: './test/reporters/summary.cjs',
  timeout: 120000,
  parallel: true,
  jobs: Math.min(availableParallelism(), 4),
};
