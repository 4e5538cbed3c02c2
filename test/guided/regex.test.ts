import { expect } from 'chai';
import fc from 'fast-check';
import type { AtbError } from '../../src/errors.js';
import { compileGuide } from '../../src/guided/index.js';
import type { NativeEngine } from '../../src/native/index.js';
import { byteEngine, judge } from './guides.js';

/** Expressions of everything that is supported, over a few letters, so that texts often match. */
const expressions = fc.letrec<{ atom: string; sequence: string; whole: string }>((tie) => ({
  atom: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'group' },
    fc.constantFrom(
      ...['a', 'b', 'é', '漢', '😀', '.', '\\d', '\\w', '\\s', '\\D', '[ab]', '[^a]', '[b-é]', '[^\\d漢]'],
      ...['\\u0061', '\\u{1F600}', '\\p{L}', '\\P{L}', '\\x62', '\\.', '\\n', '[\\]a-]'],
    ),
    tie('whole').map((inner) => `(?:${inner})`),
  ),
  sequence: fc
    .array(fc.tuple(tie('atom'), fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '{0,}', '*?')), {
      maxLength: 4,
    })
    .map((parts) => parts.map(([atom, count]) => atom + count).join('')),
  whole: fc.array(tie('sequence'), { minLength: 1, maxLength: 3 }).map((options) => options.join('|')),
})).whole;

const texts = fc
  .array(fc.constantFrom('a', 'b', 'c', 'é', '漢', '😀', '1', ' ', '\n', '.', ']', '-'), { maxLength: 5 })
  .map((letters) => letters.join(''));

describe('guides by regular expressions', () => {
  let engine: NativeEngine;
  before(async () => {
    engine = await byteEngine();
  });
  after(() => engine.dispose());

  it('allow what JavaScript matches, and nothing else', async () => {
    let matches = 0;
    await fc.assert(
      fc.asyncProperty(
        expressions,
        fc.array(texts, { minLength: 12, maxLength: 12 }),
        async (pattern, samples) => {
          const allows = await judge(engine, { regex: pattern });
          const oracle = new RegExp(`^(?:${pattern})$`, 'u');
          for (const sample of samples) {
            expect(allows(sample), `${pattern} on ${JSON.stringify(sample)}`).to.equal(oracle.test(sample));
            if (oracle.test(sample)) matches++;
          }
        },
      ),
      { numRuns: 400, seed: 11 },
    );
    expect(matches).to.be.above(300);
  });

  it('match anywhere where a JSON schema says so, and at the ends that are named', async () => {
    for (const pattern of ['b', '^b', 'b$', '^b$', '^a|b$', 'a.c']) {
      const allows = await judge(engine, { jsonSchema: { type: 'string', pattern } });
      for (const text of ['b', 'ab', 'ba', 'aba', 'a', 'c', '', 'axc', 'a"c', 'a\nc', 'a\\c'])
        expect(allows(JSON.stringify(text)), `${pattern} on ${JSON.stringify(text)}`).to.equal(
          new RegExp(pattern, 'u').test(text),
        );
    }
  });

  it('are refused by name where a grammar cannot say it, and where they are none', () => {
    const codeOf = (regex: string): string => {
      try {
        compileGuide({ regex });
        return '';
      } catch (error) {
        return (error as AtbError).code;
      }
    };
    for (const regex of ['(?=a)', '(?<!a)b', '\\bword', '(a)\\1', '\\k<n>', 'a^b', '(?i:a)', '(^a)'])
      expect(codeOf(regex), regex).to.equal('GUIDE_UNSUPPORTED');
    for (const regex of [
      '(',
      ')',
      '[',
      'a{3,1}',
      '*',
      '\\',
      '\\q',
      '[b-a]',
      '\\p{Nothing}',
      '\\u{110000}',
      'a{99999}',
    ])
      expect(codeOf(regex), regex).to.equal('GUIDE_INVALID');
    expect(codeOf('(?:(?:(?:a{100}){100}){100}){100}')).to.equal('GUIDE_TOO_LARGE');
    expect(codeOf('('.repeat(5000))).to.equal('GUIDE_INVALID');
  });

  it('are read in time, also where a class of many characters may be repeated thousands of times', () => {
    compileGuide({ regex: '\\p{L}' });
    const started = performance.now();
    for (const count of [8000, 9000, 10_000]) compileGuide({ regex: `\\p{L}{1,${count}}` });
    expect(performance.now() - started).to.be.below(2000);
  });
});
