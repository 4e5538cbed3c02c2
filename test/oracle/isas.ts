import { availableIsas } from '../../src/native/index.js';

const ALL_ISAS = availableIsas();
export const [BEST_ISA = 'reference'] = ALL_ISAS;
const OTHER_ISAS = ALL_ISAS.slice(1);
const isWhole = process.env.ATB_TEST_ALL === '1';

/** The kernels that differ most; `npm run test:all` takes all. */
export const SAMPLED_ISAS = isWhole ? ALL_ISAS : [...new Set([BEST_ISA, 'reference'])];

/**
 * For many cases alike, of which this is number `turn`: the best kernels and one of the others, which take turns, so that
 * every table meets some of the cases; `npm run test:all` takes all.
 */
export const isasInTurn = (turn: number): readonly string[] =>
  isWhole ? ALL_ISAS : [BEST_ISA, ...OTHER_ISAS.slice(turn % OTHER_ISAS.length).slice(0, 1)];
