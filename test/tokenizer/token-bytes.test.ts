import { expect } from 'chai';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { tokenBytes } from '../../src/tokenizer/token-bytes.js';

const TEXTS = [
  'One day, a cat sat.',
  'naïve 漢字 😀!',
  '  two  blanks\n\ttab',
  'a\u0000b',
  '{"key": [1, 2.5]}',
];

describe('the bytes of tokens', () => {
  it('are, one token after another, the text that was encoded', async () => {
    const tokenizer = await HfTokenizer.load('examples/models/tiny-stories');
    const { bytes, offsets } = tokenizer.tokenBytes();
    expect(offsets).to.have.length(tokenizer.vocabSize + 1);
    for (const text of TEXTS) {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      const written = ids.map((id) => bytes.subarray(offsets[id], offsets[id + 1]));
      expect(Buffer.concat(written).toString(), text).to.equal(text);
    }
  });

  it('are those of SentencePiece with ▁ and <0xNN>, and none for special tokens', () => {
    const tokens = ['<s>', '▁a▁', '<0xC3>', '<0xa9>', 'é', undefined];
    const { bytes, offsets } = tokenBytes(tokens, (id) => id === 0, ['Replace', 'ByteFallback', 'Fuse']);
    expect([...offsets]).to.deep.equal([0, 0, 3, 4, 5, 7, 7]);
    expect(Buffer.from(bytes).toString()).to.equal(' a éé');
  });
});
