import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { readSentencePieceModel } from '../../src/tokenizer/sentencepiece-model.js';
import { type MetadataValue, writeGguf } from './gguf-writer.js';
import { TINY_STORIES, tinyStoriesMetadata } from './tiny-stories.js';

const TEXTS = join(import.meta.dirname, '../../../test/fixtures/text');
const { texts } = JSON.parse(readFileSync(join(TEXTS, 'sentencepiece.json'), 'utf8')) as {
  readonly texts: readonly string[];
};
const TYPES = ['', 'normal', 'unknown', 'control', 'userDefined', 'unused', 'byte'];

describe('the tokenizer of a GGUF file', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atb-gguf-text-'));
  });
  after(() => rm(folder, { recursive: true }));

  const load = (metadata: Readonly<Record<string, MetadataValue>>): Promise<HfTokenizer> => {
    const needed = { 'general.architecture': 'llama', ...metadata };
    return HfTokenizer.load(writeGguf(join(folder, 'text.gguf'), needed));
  };
  const sameIds = async (found: HfTokenizer, expected: HfTokenizer): Promise<void> => {
    for (const text of texts) {
      const ids = await found.encodeAsync(text);
      expect(ids, JSON.stringify(text)).to.deep.equal(await expected.encodeAsync(text));
      expect(found.decode(ids)).to.equal(expected.decode(ids));
    }
  };

  it('of merges of bytes gives the ids of the tokenizer.json that it was made of', async () => {
    const [found, expected] = [await load(tinyStoriesMetadata()), await HfTokenizer.load(TINY_STORIES)];
    await sameIds(found, expected);
    expect(found.bosTokenId).to.equal(0);
    expect(found.encode('<|system|>')).to.deep.equal(expected.encode('<|system|>'));
    expect(found.isSpecial(found.tokenToId('<|system|>') ?? -1)).to.equal(true);
  });

  it('of pieces gives the ids of the SentencePiece model that it was made of', async () => {
    const file = join(TEXTS, 'bpe-as-llama-2.model');
    const { pieces } = readSentencePieceModel(readFileSync(file), file);
    const found = await load({
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': pieces.map(({ text }) => text),
      'tokenizer.ggml.scores': pieces.map(({ score }) => score),
      'tokenizer.ggml.token_type': pieces.map(({ type }) => TYPES.indexOf(type)),
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
    });
    const source = await mkdtemp(join(tmpdir(), 'atb-pieces-'));
    try {
      const { copyFile, writeFile } = await import('node:fs/promises');
      await copyFile(file, join(source, 'tokenizer.model'));
      await writeFile(join(source, 'tokenizer_config.json'), '{"tokenizer_class": "LlamaTokenizer"}');
      await sameIds(found, await HfTokenizer.load(source));
    } finally {
      await rm(source, { recursive: true });
    }
  });

  it('cuts words as the named kind does', async () => {
    // Whatever is not cut becomes one token.
    const words = ['123', 'hello', 'World', 'helloWorld', "d's"];
    const {
      'tokenizer.ggml.bos_token_id': _,
      'tokenizer.ggml.eos_token_id': __,
      ...base
    } = tinyStoriesMetadata();
    const cutBy = async (pre: string, text: string, whole: readonly string[]) => {
      const letters = [...new Set(words.flatMap((word) => [...word]))];
      const merges = whole.flatMap((word) =>
        Array.from({ length: word.length - 1 }, (_, i) => `${word.slice(0, i + 1)} ${word[i + 1]}`),
      );
      const made = [...new Set(merges.map((merge) => merge.replace(' ', '')))];
      const tokens = [...letters, ...made];
      const tokenizer = await load({
        ...base,
        'tokenizer.ggml.pre': pre,
        'tokenizer.ggml.tokens': tokens,
        'tokenizer.ggml.token_type': tokens.map(() => 1),
        'tokenizer.ggml.merges': [...new Set(merges)],
        'tokenizer.ggml.add_bos_token': false,
      });
      return tokenizer.encode(text).map((id) => tokenizer.idToToken(id));
    };
    expect(await cutBy('gpt-2', '123', words)).to.deep.equal(['123']);
    expect(await cutBy('qwen2', '123', words)).to.deep.equal(['1', '2', '3']);
    expect(await cutBy('smollm', '123', words)).to.deep.equal(['1', '2', '3']);
    expect(await cutBy('llama-bpe', '1233', words)).to.deep.equal(['123', '3']);
    expect(await cutBy('tekken', 'helloWorld', words)).to.deep.equal(['hello', 'World']);
    expect(await cutBy('gpt-4o', 'helloWorld', words)).to.deep.equal(['hello', 'World']);
    expect(await cutBy('llama-bpe', 'helloWorld', words)).to.deep.equal(['helloWorld']);
    expect(await cutBy('gpt-4o', "d's", words)).to.deep.equal(["d's"]);
  });

  it('of an unknown kind is refused by name', async () => {
    for (const [changes, message] of [
      [
        { 'tokenizer.ggml.pre': 'nobody' },
        /tokenizer\.ggml\.pre, .* must be one of gpt-2, .*, found "nobody"/,
      ],
      [
        { 'tokenizer.ggml.model': 't5' },
        /tokenizer\.ggml\.model must be gpt2, llama, gemma4 or bert, found "t5"/,
      ],
      [{ 'tokenizer.ggml.model': 'llama' }, /tokens, scores and token_type must be lists of one length/],
      [{ 'tokenizer.ggml.merges': [1, 2] }, /tokenizer\.ggml\.merges must be a list of strings/],
    ] as const) {
      const error: unknown = await load({ ...tinyStoriesMetadata(), ...changes }).catch((thrown) => thrown);
      expect(error).to.have.property('message').match(message);
    }
  });
});
