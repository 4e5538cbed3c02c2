import { expect } from 'chai';
import fc from 'fast-check';
import { StopStrings } from '../../src/tokenizer/stop-strings.js';

function run(
  stops: string[],
  pieces: string[],
  isIncluded = false,
): { text: string; stop: string | undefined } {
  const matcher = new StopStrings(stops, isIncluded);
  let text = '';
  for (const piece of pieces) {
    const scan = matcher.push(piece);
    text += scan.text;
    if (scan.stop !== undefined) return { text, stop: scan.stop };
  }
  return { text: text + matcher.end(), stop: undefined };
}

/** The specification, on the whole text: the smallest end, then the longest stop. */
function reference(
  stops: string[],
  whole: string,
  isIncluded: boolean,
): { text: string; stop: string | undefined } {
  for (let end = 1; end <= whole.length; end++) {
    const [stop] = stops.filter((s) => whole.slice(0, end).endsWith(s)).sort((a, b) => b.length - a.length);
    if (stop !== undefined) return { text: whole.slice(0, isIncluded ? end : end - stop.length), stop };
  }
  return { text: whole, stop: undefined };
}

describe('StopStrings', () => {
  it('finds a stop string that is spread over pieces', () => {
    expect(run(['</s>'], ['one <', '/', 's', '> two'])).to.deep.equal({ text: 'one ', stop: '</s>' });
    expect(run(['</s>'], ['one <', '/', 's', '> two'], true)).to.deep.equal({
      text: 'one </s>',
      stop: '</s>',
    });
  });

  it('holds back what may be the beginning of a stop string, and hands it out when it is not', () => {
    const matcher = new StopStrings(['ENDE']);
    expect(matcher.push('the EN')).to.deep.equal({ text: 'the ', stop: undefined });
    expect(matcher.push('D')).to.deep.equal({ text: '', stop: undefined });
    expect(matcher.push('!')).to.deep.equal({ text: 'END!', stop: undefined });
    expect(matcher.push('E')).to.deep.equal({ text: '', stop: undefined });
    expect(matcher.end()).to.equal('E');
  });

  it('lets the match win that is complete first, and the longest of equals', () => {
    expect(run(['world', 'lo'], ['hello world'])).to.deep.equal({ text: 'hel', stop: 'lo' });
    expect(run(['lo', 'hello'], ['hello'])).to.deep.equal({ text: '', stop: 'hello' });
  });

  it('finds a stop string that begins inside a false start of itself', () => {
    expect(run(['aab'], ['a', 'a', 'a', 'b'])).to.deep.equal({ text: 'a', stop: 'aab' });
    expect(run(['abac'], ['aba', 'bac'])).to.deep.equal({ text: 'ab', stop: 'abac' });
  });

  it('hands out nothing after the stop', () => {
    const matcher = new StopStrings(['x']);
    matcher.push('ax');
    expect(matcher.push('more')).to.deep.equal({ text: '', stop: undefined });
    expect(matcher.end()).to.equal('');
  });

  it('agrees with a search of the whole text, however it is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        fc.array(letters, { maxLength: 4 }),
        fc.array(letters, { maxLength: 12 }),
        fc.boolean(),
        (stops, pieces, isIncluded) => {
          const found = run(stops, pieces, isIncluded);
          const expected = reference(stops, pieces.join(''), isIncluded);
          if (found.text !== expected.text || found.stop !== expected.stop) {
            throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
          }
        },
      ),
      { numRuns: 20_000, seed: 8 },
    );
  });

  it('needs little time for long stop strings that nearly match', () => {
    const stops = Array.from({ length: 64 }, (_, i) => `${'a'.repeat(1023 - i)}b`);
    const start = process.cpuUsage();
    run(stops, ['a'.repeat(20_000)]);
    // Of computing: a busy machine takes longer by the clock.
    expect(process.cpuUsage(start).user, 'µs').to.be.lessThan(2e6);
  });
});
