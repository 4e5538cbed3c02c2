import { expect } from 'chai';
import { type OutputText, Postprocessor, type StopOptions } from '../../src/tokenizer/postprocessor.js';
import { byteLevel } from './small-tokenizers.js';

const tokenizer = byteLevel();
const EOS = tokenizer.tokenToId('<|im_end|>') as number;
const DEFAULTS: StopOptions = {
  maxTokens: 100,
  minTokens: 0,
  stop: [],
  stopTokenIds: [],
  ignoreEos: false,
  includeStopStrInOutput: false,
  skipSpecialTokens: true,
};

function start(options: Partial<StopOptions> = {}): OutputText {
  return new Postprocessor(tokenizer, tokenizer.eosTokenIds).start({ ...DEFAULTS, ...options });
}

function run(
  options: Partial<StopOptions>,
  tokens: number[],
): { text: string; reason: unknown; stop: unknown; numTokens: number } {
  const output = start(options);
  let text = '';
  for (const [index, token] of tokens.entries()) {
    const piece = output.push(token);
    text += piece.text;
    if (piece.finishReason)
      return { text, reason: piece.finishReason, stop: piece.stopReason, numTokens: index + 1 };
  }
  return { text: text + output.end(), reason: undefined, stop: undefined, numTokens: tokens.length };
}

const HELLO = tokenizer.encode('hello world');

describe('Postprocessor', () => {
  it('ends a text at an end-of-sequence token and leaves that token out', () => {
    expect(run({}, [...HELLO, EOS, ...HELLO])).to.deep.equal({
      text: 'hello world',
      reason: 'stop',
      stop: EOS,
      numTokens: HELLO.length + 1,
    });
    expect(run({ skipSpecialTokens: false }, [...HELLO, EOS]).text).to.equal('hello world');
    expect(run({ skipSpecialTokens: false, includeStopStrInOutput: true }, [...HELLO, EOS]).text).to.equal(
      'hello world<|im_end|>',
    );
  });

  it('goes on after end-of-sequence tokens when asked to', () => {
    expect(run({ ignoreEos: true }, [...HELLO, EOS, ...HELLO])).to.include({
      text: 'hello worldhello world',
      reason: undefined,
    });
  });

  it('ends at any of several end tokens and at stop tokens', () => {
    const several = new Postprocessor(tokenizer, [1, 2]);
    expect([1, 2, 3].map((token) => several.checkEos(token))).to.deep.equal([true, true, false]);
    const stopToken = HELLO[1] as number;
    expect(run({ stopTokenIds: [stopToken], ignoreEos: true }, HELLO)).to.include({
      text: 'hello',
      reason: 'stop',
      stop: stopToken,
    });
  });

  it('ends at a stop string across tokens', () => {
    const tokens = tokenizer.encode('hello world, the end');
    expect(run({ stop: ['ld, t'] }, tokens)).to.include({ text: 'hello wor', reason: 'stop', stop: 'ld, t' });
    expect(run({ stop: ['ld, t'], includeStopStrInOutput: true }, tokens).text).to.equal('hello world, t');
  });

  it('ends at a stop string that is a special token, which the text leaves out', () => {
    const found = { reason: 'stop', stop: '<|im_end|>', numTokens: HELLO.length + 1 };
    const stop = ['never', '<|im_end|>'];
    const tokens = [...HELLO, EOS, ...HELLO];
    expect(run({ ignoreEos: true, stop }, tokens)).to.deep.equal({ text: 'hello world', ...found });
    expect(run({ ignoreEos: true, stop, includeStopStrInOutput: true }, tokens)).to.deep.equal({
      text: 'hello world<|im_end|>',
      ...found,
    });
    expect(run({ ignoreEos: true, stop, skipSpecialTokens: false }, tokens)).to.include({
      reason: 'stop',
      numTokens: HELLO.length + 1,
    });
    expect(run({ ignoreEos: true, stop, minTokens: HELLO.length + 2 }, tokens).reason).to.equal(undefined);
    expect(run({ ignoreEos: true, stop: ['<|im_start|>'] }, tokens).reason).to.equal(undefined);
  });

  it('ends at a stop string of text and special tokens, which the text leaves out', () => {
    const tokens = [...HELLO, EOS, ...HELLO];
    const run1 = (stop: string, options: Partial<StopOptions> = {}) =>
      run({ ignoreEos: true, stop: [stop], ...options }, tokens);
    expect(run1('world<|im_end|>')).to.include({ text: 'hello ', numTokens: HELLO.length + 1 });
    expect(run1('<|im_end|>hel')).to.include({ text: 'hello world', stop: '<|im_end|>hel' });
    expect(run1('d<|im_end|>hel')).to.include({ text: 'hello worl', reason: 'stop' });
    expect(run1('d<|im_end|>hel', { includeStopStrInOutput: true }).text).to.equal(
      'hello world<|im_end|>hel',
    );
    // What was held back in vain is shown without the special token.
    expect(run1('d<|im_end|>help')).to.include({ text: 'hello worldhello world', reason: undefined });
    expect(run1('worldhello')).to.include({ text: 'hello worldhello world', reason: undefined });
  });

  it('shows what looked like the beginning of a stop string when an end token follows', () => {
    expect(run({ stop: ['world!'] }, [...HELLO, EOS])).to.include({
      text: 'hello world',
      reason: 'stop',
      stop: EOS,
    });
  });

  it('ends at the length with everything that was held back', () => {
    const tokens = tokenizer.encode('hello wor');
    expect(run({ stop: ['or!'], maxTokens: tokens.length }, tokens)).to.include({
      text: 'hello wor',
      reason: 'length',
    });
    const half = [0xe6, 0x97];
    expect(run({ maxTokens: 2 }, half)).to.include({ text: '\uFFFD', reason: 'length' });
  });

  it('lets nothing end the text before minTokens', () => {
    const tokens = [...HELLO, EOS, ...HELLO, EOS];
    expect(run({ minTokens: HELLO.length + 2, stop: ['hello'] }, tokens)).to.include({
      text: 'hello world',
      reason: 'stop',
      stop: 'hello',
    });
    expect(run({ minTokens: HELLO.length + 2 }, tokens).numTokens).to.equal(tokens.length);
  });

  it('works without a tokenizer, on tokens alone', () => {
    const output = new Postprocessor(undefined, [7]).start({ ...DEFAULTS, stop: ['x'] });
    expect(output.push(5)).to.deep.equal({ text: '', finishReason: undefined, stopReason: undefined });
    expect(output.push(7)).to.deep.equal({ text: '', finishReason: 'stop', stopReason: 7 });
  });
});
