import { expect } from 'chai';
import fc from 'fast-check';
import { CleanUp, cleanUp } from '../../src/tokenizer/clean-up.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { StreamDecoder } from '../../src/tokenizer/stream-decoder.js';
import { byteLevel, llama2 } from './small-tokenizers.js';

const TOKENIZERS: Array<[string, HfTokenizer]> = [
  ['byte-level BPE', byteLevel()],
  ['Llama 2 with a normaliser', llama2()],
  ['Llama 2 with Metaspace', llama2(true)],
];

function pieces(tokenizer: HfTokenizer, ids: readonly number[], skipSpecialTokens = true): string[] {
  const decoder = new StreamDecoder(tokenizer, { skipSpecialTokens });
  return [...ids.map((id) => decoder.push(id)), decoder.end()];
}

describe('blanks that a tokenizer of words puts before punctuation', () => {
  // transformers 5.24, PreTrainedTokenizerFast over WordLevel: decode(encode(text)).
  const text = "Hello , world ! it 's . do n't I 'm a ' b do n ' t";
  const words = [...new Set(text.split(' '))];
  const wordLevel = (config: object, type = 'WordLevel') =>
    new HfTokenizer({
      file: 'words/tokenizer.json',
      tokenizer: {
        model: {
          type,
          vocab: Object.fromEntries([...words, '<unk>'].map((word, id) => [word, id])),
          unk_token: '<unk>',
          ...(type === 'BPE' ? { merges: [] } : {}),
        },
      },
      config,
    });
  const ids = text.split(' ').map((word) => words.indexOf(word));
  const isClean = { clean_up_tokenization_spaces: true };

  it('are dropped where tokenizer_config.json says so', () => {
    const tokenizer = wordLevel(isClean);
    expect(tokenizer.decode(ids)).to.equal("Hello, world! it's. don't I'm a'b don't");
    expect(pieces(tokenizer, ids).join('')).to.equal(tokenizer.decode(ids));
    expect(wordLevel({}).decode(ids)).to.equal(text);
  });

  it('stay where the model is BPE, unless the files insist', () => {
    const insists = { clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output: true };
    expect(wordLevel(isClean, 'BPE').decode(ids)).to.equal(text);
    expect(wordLevel({ ...isClean, ...insists }, 'BPE').decode(ids)).to.match(/^Hello, world! it's\. don't/);
  });

  it('are dropped alike however a text is cut', () => {
    const part = fc.constantFrom(
      ' ',
      "'",
      '.',
      ',',
      'n',
      't',
      'm',
      's',
      'v',
      'e',
      'r',
      'x',
      '  ',
      " ' ",
      " n't",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 24 }), (parts) => {
        const cut = new CleanUp();
        const streamed = [...parts.map((piece) => cut.push(piece)), cut.end()].join('');
        if (streamed !== cleanUp(parts.join(''))) throw new Error(JSON.stringify(streamed));
      }),
      { numRuns: 20_000, seed: 3 },
    );
  });
});

for (const [name, tokenizer] of TOKENIZERS) {
  describe(`StreamDecoder over ${name}`, () => {
    it('hands out characters of several tokens only when they are whole', () => {
      const text = 'hello 😀 日本 é world';
      const streamed = pieces(tokenizer, tokenizer.encode(text));
      expect(streamed.join('')).to.equal(text);
      for (const piece of streamed) expect(piece).not.to.match(/\p{Surrogate}|\uFFFD/u);
    });

    it('joins to the whole for any ids, special and unknown ones included', () => {
      const id = fc.oneof(
        fc.nat({ max: tokenizer.vocabSize + 3 }),
        fc.constantFrom(...tokenizer.encode('日😀 é   hello', { addSpecialTokens: false })),
      );
      fc.assert(
        fc.property(fc.array(id, { maxLength: 60 }), fc.boolean(), (ids, skipSpecialTokens) => {
          const whole = tokenizer.decode(ids, { skipSpecialTokens });
          const streamed = pieces(tokenizer, ids, skipSpecialTokens);
          if (streamed.join('') !== whole)
            throw new Error(`${JSON.stringify(streamed)} is not ${JSON.stringify(whole)}`);
          // A lone surrogate would be half a character.
          if (streamed.some((piece) => /\p{Surrogate}/u.test(piece))) throw new Error('half a character');
        }),
        { numRuns: 3000, seed: 12 },
      );
    });

    it('joins to the whole for any text', () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
          const ids = tokenizer.encode(text);
          if (pieces(tokenizer, ids).join('') !== tokenizer.decode(ids))
            throw new Error('the stream differs');
        }),
        { numRuns: 1000, seed: 5 },
      );
    });

    it('keeps a short window, whatever comes', () => {
      for (const text of ['a', ' ', '日', '😀', 'hello ']) {
        const [last] = tokenizer.encode(text, { addSpecialTokens: false }).slice(-1) as [number];
        const longest = { len: 0 };
        const spy = {
          decode: (ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }) => {
            longest.len = Math.max(longest.len, ids.length);
            return tokenizer.decode(ids, options);
          },
          isSpecial: (id: number) => tokenizer.isSpecial(id),
          idToToken: (id: number) => tokenizer.idToToken(id),
        };
        const decoder = new StreamDecoder(spy);
        for (let i = 0; i < 500; i++) decoder.push(last);
        expect(longest.len, JSON.stringify(text)).to.be.at.most(24);
      }
    });
  });
}

describe('StreamDecoder', () => {
  it('hands out a complete character at once and half a one never', () => {
    const tokenizer = byteLevel();
    const [first, second, third] = [0xe6, 0x97, 0xa5];
    const decoder = new StreamDecoder(tokenizer);
    expect([first, second, third].map((byte) => decoder.push(byte))).to.deep.equal(['', '', '日']);
    expect(decoder.push(first as number)).to.equal('');
    expect(decoder.end()).to.equal('\uFFFD');
  });

  it('keeps the blank between words when a special token comes between them', () => {
    const tokenizer = llama2();
    const [hello, world] = tokenizer.encode('hello world', { addSpecialTokens: false }) as [number, number];
    const end = tokenizer.tokenToId('</s>') as number;
    expect(pieces(tokenizer, [hello, end, end, world]).join('')).to.equal('hello world');
  });
});
