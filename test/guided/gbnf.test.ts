import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { compileGuide } from '../../src/guided/index.js';
import type { NativeEngine } from '../../src/native/index.js';
import { byteEngine, judge } from './guides.js';

describe('guides by grammars', () => {
  let engine: NativeEngine;
  before(async () => {
    engine = await byteEngine();
  });
  after(() => engine.dispose());

  it('allow sums with brackets: recursion on the left and in the middle, comments, rules over lines', async () => {
    const allows = await judge(engine, {
      grammar: `# a sum
        root ::= root "+" term |
          term
        term ::= [0-9]+ ("." [0-9]{1,2})? | "(" (
          root # inside
        ) ")"
      `,
    });
    for (const text of ['1', '1+2', '(1+2)+3.25', '((1))', '10+(2+(3+4))+5'])
      expect(allows(text), text).to.equal(true);
    for (const text of ['', '+', '1+', '(1', '1)', '1.123', '1 + 2', '()'])
      expect(allows(text), text).to.equal(false);
  });

  it('read escapes, classes of any characters, counts and the dot', async () => {
    const allows = await judge(engine, {
      grammar: 'root ::= "\\"\\x41\\u00e9\\U0001F600" [^a-y\\]] .{2} [-x]* "z"{0,1}',
    });
    expect(allows('"Aé😀z漢\n--xz')).to.equal(true);
    expect(allows('"Aé😀]漢\n')).to.equal(false);
    expect(allows('"Aé😀b漢\n')).to.equal(false);
    expect(allows('"Aé😀z漢')).to.equal(false);
  });

  it('name what is wrong with them, by line', async () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['', /there is no rule root/],
      ['root ::= other', /there is no rule other/],
      ['root ::= "a"\nroot ::= "b"', /line 2: root is there twice/],
      ['root ::= "a', /line 1: a text or a bracket is not closed/],
      ['root ::= ("a"', /parenthesis is not closed/],
      ['root = "a"', /::= must follow root/],
      ['root ::= "a" )', /"\)" is out of place/],
      ['root ::= "a"{3,2}', /count up/],
      ['root ::= "\\q"', /\\q is no escape/],
      ['root ::= [z-a]', /ends before it begins/],
      [`root ::= ${'('.repeat(3000)}`, /nested more than/],
    ];
    for (const [grammar, message] of wrong)
      expect(() => compileGuide({ grammar }), grammar).to.throw(AtbError, message);
    for (const grammar of ['root ::= root', 'root ::= a "x"\na ::= root "y" | "z"']) {
      const failure: unknown = await engine
        .compileGrammar(compileGuide({ grammar }))
        .catch((error: unknown) => error);
      expect(failure, grammar).to.be.instanceOf(AtbError).with.property('code', 'GUIDE_INVALID');
    }
  });

  it('choose one of several texts', async () => {
    const allows = await judge(engine, { choice: ['yes', 'no', 'no idea', '否'] });
    for (const text of ['yes', 'no', 'no idea', '否']) expect(allows(text)).to.equal(true);
    for (const text of ['', 'y', 'no ', 'yesno']) expect(allows(text)).to.equal(false);
  });

  it('want exactly one way to say it', () => {
    for (const guide of [
      {},
      { regex: 'a', choice: ['a'] },
      { choice: [] },
      { choice: [''] },
      { regex: 1 },
      { grammar: [] },
    ])
      expect(() => compileGuide(guide as never), JSON.stringify(guide)).to.throw(AtbError, /GUIDE_INVALID/);
  });
});
