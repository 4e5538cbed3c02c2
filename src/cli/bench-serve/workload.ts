/** An inclusive range of lengths. */
export interface LengthRange {
  readonly min: number;
  readonly max: number;
}

export interface WorkloadOptions {
  readonly requests: number;
  /** Requests a second on average, with the gaps of a Poisson process; Infinity: all at once. */
  readonly rate: number;
  /** Words of a prompt, each about a token, without the shared beginning. */
  readonly promptWords: LengthRange;
  readonly outputTokens: LengthRange;
  /** Words with which every prompt begins. */
  readonly sharedWords: number;
  /** The same seed gives the same requests at the same times. */
  readonly seed: number;
}

export interface PlannedRequest {
  /** Milliseconds after the start. */
  readonly atMs: number;
  readonly prompt: string;
  readonly maxTokens: number;
}

/** Words that common vocabularies have as one token each. */
export const WORDS =
  'the of and to in is it you that he was for on are with as his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know'.split(
    ' ',
  );

/** What will be asked, and when. */
export function planWorkload(options: WorkloadOptions): PlannedRequest[] {
  const { requests, rate, promptWords, outputTokens, sharedWords, seed } = options;
  const random = mulberry32(seed);
  const words = (count: number): string =>
    Array.from({ length: count }, () => WORDS[Math.floor(random() * WORDS.length)]).join(' ');
  const within = ({ min, max }: LengthRange): number => min + Math.floor(random() * (max - min + 1));
  const shared = sharedWords > 0 ? `${words(sharedWords)} ` : '';
  let atMs = 0;
  return Array.from({ length: requests }, (_, index) => {
    // The first comes at once; gaps of a Poisson process are exponential.
    if (index > 0 && rate !== Number.POSITIVE_INFINITY) atMs += (-Math.log(1 - random()) / rate) * 1000;
    return { atMs, prompt: shared + words(within(promptWords)), maxTokens: within(outputTokens) };
  });
}

/** Numbers in [0, 1) by Tommy Ettinger's mulberry32: enough for prompts, and the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
