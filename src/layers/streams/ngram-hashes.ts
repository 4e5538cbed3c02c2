import type { NgramHashes } from '../../step-inputs/index.js';

/** What a family says of tables of n-grams. */
export interface NgramConfig {
  readonly vocabSize: number;
  /** How many tokens the longest n-grams have; the shortest have 2. */
  readonly ngramSize: number;
  /** Parts of a table that n-grams of each length have. */
  readonly headsPerNgram: number;
  /** Parts have as many rows as prime numbers say, the first of them the first that is not below this. */
  readonly ngramVocab: number;
  /** Of what a table's rows are a multiple. */
  readonly ngramVocabMultiple: number;
  readonly ngramSeed: number;
  readonly ngramSeparator: number;
}

const MASK = (1n << 64n) - 1n;
const GAMMA = 0x9e3779b97f4a7c15n;
/** How far the seeds of two tables lie apart. */
const SEED_STEP = 10_007n;
const LARGEST = (1n << 63n) - 1n;

/** SplitMix64 (doi:10.1145/2660193.2660195), one step of it. */
function mixed(state: bigint): bigint {
  let value = (state + GAMMA) & MASK;
  value = ((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  value = ((value ^ (value >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return (value ^ (value >> 31n)) & MASK;
}

/** Odd numbers, which no token's product with makes larger than 2^63. */
function multipliersOf({ vocabSize, ngramSize, ngramSeed }: NgramConfig, table: number): bigint[] {
  const half = LARGEST / BigInt(vocabSize) / 2n;
  const bound = half > 1n ? half : 1n;
  const seed = BigInt(ngramSeed) + SEED_STEP * BigInt(table);
  return Array.from({ length: ngramSize }, (_, at) => {
    return 2n * (mixed((seed + GAMMA * BigInt(at + 1)) & MASK) % bound) + 1n;
  });
}

function isPrime(value: number): boolean {
  if (value < 4) return value > 1;
  if (value % 2 === 0) return false;
  for (let divisor = 3; divisor * divisor <= value; divisor += 2) if (value % divisor === 0) return false;
  return true;
}

/** Prime numbers from `least` on: so many, behind those that are passed over. */
function primesFrom(least: number, passedOver: number, count: number): number[] {
  const found: number[] = [];
  for (let value = least; found.length < passedOver + count; value++) if (isPrime(value)) found.push(value);
  return found.slice(passedOver);
}

/** Of the tables of a model, how the one of this number is read. */
export function ngramHashes(config: NgramConfig, table: number): NgramHashes {
  const { ngramSize, headsPerNgram: heads, ngramVocab, ngramSeparator: separator } = config;
  const lengths = ngramSize - 1;
  const primes = primesFrom(ngramVocab, table * lengths * heads, lengths * heads);
  const sizes = Array.from({ length: lengths }, (_, at) => primes.slice(at * heads, (at + 1) * heads));
  return { multipliers: multipliersOf(config, table), sizes, separator };
}

/** How many rows such a table has. */
export function ngramTableRows({ ngramVocabMultiple }: NgramConfig, { sizes }: NgramHashes): number {
  const rows = sizes.flat().reduce((sum, size) => sum + size, 0);
  return Math.ceil(rows / ngramVocabMultiple) * ngramVocabMultiple;
}
