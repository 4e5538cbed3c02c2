import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { readSentencePieceModel } from '../../src/tokenizer/sentencepiece-model.js';
import { StreamDecoder } from '../../src/tokenizer/stream-decoder.js';
import { errorOf } from './error-of.js';

// What the library `sentencepiece` made of the same models and texts: tools/oracle/make_sentencepiece_fixtures.py.

interface SentencePieceFixture {
  readonly texts: readonly string[];
  readonly models: readonly {
    readonly name: string;
    readonly file: string;
    /** Hashes of the ids and of their text, by text; no text where an id is unknown. */
    readonly cases: readonly (readonly [string, string | null])[];
  }[];
}

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/text');
const { texts, models } = JSON.parse(
  readFileSync(join(FIXTURES, 'sentencepiece.json'), 'utf8'),
) as SentencePieceFixture;

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
}

describe('a tokenizer.model without tokenizer.json', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'atb-sentencepiece-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  for (const { name, file, cases } of models) {
    it(`gives the ids and texts of sentencepiece: ${name}`, async () => {
      await copyFile(join(FIXTURES, file), join(dir, 'tokenizer.model'));
      const tokenizer = await HfTokenizer.load(dir);
      const wrong: unknown[] = [];
      for (const [index, text] of texts.entries()) {
        const ids = await tokenizer.encodeAsync(text, { addSpecialTokens: false, parseSpecialTokens: false });
        const [expectedIds, expectedText] = cases[index] ?? [];
        const decoded = tokenizer.decode(ids);
        if (digest(ids) !== expectedIds) wrong.push([text, ids.map((id) => tokenizer.idToToken(id))]);
        else if (expectedText !== null && digest(decoded) !== expectedText) wrong.push([text, decoded]);
        const stream = new StreamDecoder(tokenizer);
        expect(ids.map((id) => stream.push(id)).join('') + stream.end()).to.equal(decoded);
      }
      expect(wrong).to.deep.equal([]);
    });
  }

  async function load(file: string, config: object = {}): Promise<HfTokenizer> {
    await copyFile(join(FIXTURES, file), join(dir, 'tokenizer.model'));
    await writeFile(join(dir, 'tokenizer_config.json'), JSON.stringify(config));
    return HfTokenizer.load(dir);
  }
  const LLAMA = 'bpe-as-llama-2.model';
  const T5 = 'unigram-as-t5.model';

  it('puts BOS and EOS around a text as the class does, unless the config says otherwise', async () => {
    const plain = (await load(LLAMA)).encode('hello');
    for (const [config, expected] of [
      [{}, plain],
      [{ tokenizer_class: 'LlamaTokenizer' }, [1, ...plain]],
      [{ tokenizer_class: 'LlamaTokenizerFast', add_eos_token: true }, [1, ...plain, 2]],
      [{ tokenizer_class: 'InternLM2Tokenizer', add_bos_token: false }, plain],
      [{ tokenizer_class: 'BaichuanTokenizer', bos_token: { content: '</s>' } }, [2, ...plain]],
      [{ add_bos_token: true }, [1, ...plain]],
    ] as const) {
      expect((await load(LLAMA, config)).encode('hello'), JSON.stringify(config)).to.deep.equal(expected);
    }
  });

  it('knows the named tokens of the model, and those of the files before them', async () => {
    const tokenizer = await load(LLAMA);
    expect(tokenizer.namedTokens).to.deep.equal({ unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>' });
    expect([tokenizer.unkTokenId, tokenizer.bosTokenId, tokenizer.eosTokenIds]).to.deep.equal([0, 1, [2]]);
    expect((await load(LLAMA, { eos_token: '<s>' })).eosTokenIds).to.deep.equal([1]);
  });

  it('puts the first blank behind control tokens where the class does', async () => {
    const first = await load(LLAMA, { tokenizer_class: 'LlamaTokenizer', add_bos_token: false });
    const every = await load(LLAMA, {
      tokenizer_class: 'LlamaTokenizer',
      add_bos_token: false,
      legacy: true,
    });
    const hello = every.encode('hello');
    expect(every.encode('<s>hello')).to.deep.equal([1, ...hello]);
    expect(first.encode('hello')).to.deep.equal(hello);
    expect(first.decode(first.encode('<s>hello'))).to.equal('hello');
    expect(first.encode('<s>hello')).not.to.deep.equal([1, ...hello]);
  });

  it('puts the first blank where a model removes those that a text begins with', async () => {
    for (const file of ['bpe-without-bytes.model', 'bpe-nmt-s-nfkc.model']) {
      const open = await load(file, { tokenizer_class: 'LlamaTokenizer', add_bos_token: false });
      const hello = open.encode('hello');
      expect(open.encode('   hello'), file).to.deep.equal(hello);
    }
  });

  it('puts no blank before a text, and drops none, where add_prefix_space is false', async () => {
    await copyFile(join(FIXTURES, LLAMA), join(dir, 'tokenizer.model'));
    const config = { tokenizer_class: 'LlamaTokenizer', add_prefix_space: false };
    await writeFile(join(dir, 'tokenizer_config.json'), JSON.stringify(config));
    const tokenizer = await HfTokenizer.load(dir);
    // transformers 5.24, AutoTokenizer.
    const ids = [75, 519, 418, 520, 287, 259, 530, 529];
    expect(tokenizer.encode('Hello world', { addSpecialTokens: false })).to.deep.equal(ids);
    expect(tokenizer.decode(ids)).to.equal('Hello world');
    expect(tokenizer.decode([310])).to.equal(' You');
  });

  it('gives added tokens the ids of added_tokens_decoder, whatever is left out between them', async () => {
    const decoder = { 560: { content: '[gMASK]' }, 562: { content: 'sop' }, 565: { content: '<|user|>' } };
    const tokenizer = await load(LLAMA, {
      tokenizer_class: 'ChatGLMTokenizer',
      added_tokens_decoder: decoder,
    });
    expect(tokenizer.encode('<|user|>')).to.deep.equal([560, 562, 565]);
    const far = { 9560: { content: 'far' } };
    const error = await errorOf(() => load(LLAMA, { added_tokens_decoder: far }));
    expect(error.message).to.match(/names the id 9560, the vocabulary has 560 tokens/);
  });

  it('has special tokens that only the code of ChatGLM names, and none of them within a word', async () => {
    for (const [file, size] of [
      [LLAMA, 560],
      // Characters are replaced first, so that every token is looked for before the library sees the text.
      [T5, 400],
    ] as const) {
      const tokenizer = await load(file, { tokenizer_class: 'ChatGLMTokenizer' });
      const [mask, sop, user] = [size + 1, size + 3, size + 6];
      expect(tokenizer.encode('').slice(0, 2)).to.deep.equal([mask, sop]);
      const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
      expect(encode('[gMASK]sop<|user|>')).to.deep.equal([mask, sop, user]);
      expect(encode('philosophy')).to.not.include(sop);
      expect(tokenizer.decode(encode('philosophy eops'))).to.equal('philosophy eops');
    }
  });

  it('has the special tokens of added_tokens_decoder in the places of pieces that were kept for them', async () => {
    const tokenizer = await load('bpe-marked-words.model', {
      added_tokens_decoder: { 3: { content: '<|im_start|>', special: true } },
    });
    expect(tokenizer.encode('<|im_start|>', { addSpecialTokens: false })).to.deep.equal([3]);
    expect(tokenizer.decode([3])).to.equal('');
  });

  it('has the sentinels of T5 behind the pieces, the first one last, and EOS behind a text', async () => {
    const tokenizer = await load(T5, { tokenizer_class: 'T5Tokenizer' });
    expect(tokenizer.vocabSize).to.equal(500);
    expect(tokenizer.encode('<extra_id_0><extra_id_99>')).to.deep.equal([499, 400, 1]);
    expect((await load(T5, { tokenizer_class: 'T5Tokenizer', extra_ids: 0 })).vocabSize).to.equal(400);
  });

  it("has fairseq's ids where the class is XLM-RoBERTa's", async () => {
    const plain = (await load('unigram-no-prefix.model')).encode('the dog');
    const tokenizer = await load('unigram-no-prefix.model', { tokenizer_class: 'XLMRobertaTokenizer' });
    expect(tokenizer.encode('the dog')).to.deep.equal([0, ...plain.map((id) => id + 1), 2]);
    expect(tokenizer.encode('<pad><mask>').slice(1, -1)).to.deep.equal([1, 361]);
  });

  it('puts between two texts what the class has there', async () => {
    const pair = async (config: object) => {
      const tokenizer = await load('unigram-no-prefix.model', config);
      const { tokenIds, tokenTypes } = await tokenizer.encodeTyped('the dog', 'a key');
      const texts = ['the dog', 'a key'].map((text) => tokenizer.encode(text).slice(1, -1));
      return {
        ids: [...tokenIds],
        types: [...tokenTypes],
        texts,
        idOf: (token: string) => tokenizer.encode(token)[1],
      };
    };
    // transformers 5.24: XLMRobertaTokenizer, DebertaV2Tokenizer.
    const roberta = await pair({ tokenizer_class: 'XLMRobertaTokenizer' });
    const [first = [], second = []] = roberta.texts;
    expect(roberta.ids).to.deep.equal([0, ...first, 2, 2, ...second, 2]);
    expect(new Set(roberta.types)).to.deep.equal(new Set([0]));
    const names = { 361: { content: '[CLS]' }, 362: { content: '[SEP]' } };
    // As the files of deberta-v3-base name it.
    const deberta = await pair({ vocab_type: 'spm', added_tokens_decoder: names });
    const [one = [], other = []] = deberta.texts;
    expect(deberta.ids).to.deep.equal([361, ...one, 362, ...other, 362]);
    expect(deberta.types).to.deep.equal([
      ...Array(one.length + 2).fill(0),
      ...Array(other.length + 1).fill(1),
    ]);
    expect(deberta.idOf('[MASK]')).to.equal(360);
  });

  it('takes no control token for one that a replacement made', async () => {
    const tokenizer = await load(T5, { eos_token: '</s>' });
    const [pad, eos] = [0, 1];
    expect(tokenizer.encode('Ａ</s>Ａ<pad>').filter((id) => id <= eos)).to.deep.equal([eos, pad]);
    expect(tokenizer.encode('＜/s＞＜pad＞')).not.to.include.members([eos]);
    const marked = tokenizer.markSpecials('a</s>', '!!');
    expect(tokenizer.encodeMarked(`${marked}</s>`, '!!').filter((id) => id === eos)).to.deep.equal([eos]);
  });

  it('refuses malformed models', () => {
    const good = readFileSync(join(FIXTURES, LLAMA));
    const read = (...bytes: readonly number[]) =>
      errorOf(() => readSentencePieceModel(Uint8Array.from(bytes), 'm'));
    const withField = (...bytes: readonly number[]) => read(...good, ...bytes);
    return Promise.all(
      (
        [
          [read(), /has no pieces/],
          [read(0x0a, 5, 0x0a, 3, 0x61), /reaches beyond its end/],
          [read(0x0b), /wire type 3/],
          [read(...Array.from({ length: 11 }, () => 0xff)), /more than 10 bytes/],
          [read(0x0a, 3, 0x0a, 1, 0x61), /has 0 pieces for what is unknown/],
          [read(0x0a, 3, 0x0a, 1, 0xff), /piece 0 is not UTF-8/],
          [read(0x0a, 2, 0x0a, 0), /piece 0 has 0 characters/],
          [read(0x0a, 5, 0x0a, 1, 0x61, 0x18, 9), /piece 0 has an unknown type/],
          [read(0x0a, 5, 0x0a, 1, 0x61, 0x18, 5), /piece 0 is of the type UNUSED/],
          [read(0x0a, 8, 0x0a, 1, 0x61, 0x15, 0, 0, 0xc0, 0x7f), /piece 0 has the score NaN/],
          [withField(0x0a, 3, 0x0a, 1, 0x61), /piece 560 has the text of another: "a"/],
          [withField(0x12, 2, 0x18, 4), /has the model type 4, expected 1 \(unigram\) or 2 \(BPE\)/],
          [withField(0x12, 3, 0xc0, 1, 1), /treat_whitespace_as_suffix/],
          [withField(0x1a, 2, 0x28, 0), /escape_whitespaces/],
        ] as const
      ).map(async ([thrown, expected]) => {
        const { code, message } = await thrown;
        expect(code).to.equal('TOKENIZER_INVALID');
        expect(message).to.match(expected);
      }),
    );
  });

  it('refuses a charsmap that is none, in the process of the tokenizers', async () => {
    await writeFile(
      join(dir, 'tokenizer.model'),
      Buffer.concat([readFileSync(join(FIXTURES, LLAMA)), Uint8Array.of(0x1a, 6, 0x12, 4, 0xff, 0, 0, 0)]),
    );
    const { code, message } = await errorOf(() => HfTokenizer.load(dir));
    expect(code).to.equal('TOKENIZER_INVALID');
    expect(message).to.match(/precompiled_charsmap of 4 bytes has a trie of 255 bytes/);
  });
});
