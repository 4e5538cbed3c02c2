import { refuseRequest } from '../errors.js';

/** Bounds of what a request can make the engine compare at each token. */
const MAX_STOPS = 64;
const MAX_STOP_LEN = 1024;

/** Stop strings as a list without repetitions. @throws REQUEST_INVALID */
export function checkStops(value: unknown): readonly string[] {
  const stops = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(stops) || stops.length > MAX_STOPS) {
    refuseRequest('stop', `a string or a list of at most ${MAX_STOPS} strings`, value);
  }
  for (const [index, stop] of stops.entries()) {
    // A lone surrogate is half a character, which no text has.
    const isText = typeof stop === 'string' && stop.length > 0 && stop.length <= MAX_STOP_LEN;
    if (!isText || /\p{Surrogate}/u.test(stop)) {
      refuseRequest(`stop[${index}]`, `a string of 1 to ${MAX_STOP_LEN} characters`, stop);
    }
  }
  return [...new Set<string>(stops)];
}
