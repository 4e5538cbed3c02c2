import { availableIsas } from '../../src/native/index.js';

const ALL_ISAS = availableIsas();
export const [BEST_ISA = 'reference'] = ALL_ISAS;
/** The kernels that differ most; `npm run test:all` takes all. */
export const SAMPLED_ISAS =
  process.env.ATB_TEST_ALL === '1' ? ALL_ISAS : [...new Set([BEST_ISA, 'reference'])];
