import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { readConfigDict } from '../../src/router/config-file.js';
import { readModelJson } from '../../src/tokenizer/model-files.js';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { readGgufHeader } from '../../src/weights/gguf/header.js';
import { ggufBytes, type MetadataValue, type WrittenTensor } from './gguf-writer.js';

const NUMBERS = { 'llama.context_length': 64, 'llama.embedding_length': 32, 'llama.block_count': 1 };
const METADATA: Readonly<Record<string, MetadataValue>> = {
  'general.architecture': 'llama',
  ...NUMBERS,
  'llama.feed_forward_length': 64,
  'llama.attention.head_count': 4,
  'llama.attention.layer_norm_rms_epsilon': 1e-5,
  'tokenizer.ggml.tokens': ['<s>', 'a', '<|im_end|>', '<|eot_id|>'],
  'tokenizer.ggml.token_type': [3, 1, 3, 1],
  'tokenizer.ggml.eos_token_id': 0,
};
const EMBEDDING: WrittenTensor = {
  name: 'token_embd.weight',
  shape: [4, 32],
  type: 0,
  data: new Uint8Array(512),
};
const factors = (numbers: readonly number[], name = 'rope_freqs.weight'): WrittenTensor => ({
  name,
  shape: [numbers.length],
  type: 0,
  data: new Uint8Array(Float32Array.from(numbers).buffer),
});

describe('the header of a GGUF file', () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atb-gguf-header-'));
    path = join(folder, 'model.gguf');
  });
  after(() => rm(folder, { recursive: true }));

  const write = (metadata = METADATA, tensors: readonly WrittenTensor[] = [EMBEDDING], to = path): string => {
    writeFileSync(to, ggufBytes(metadata, tensors));
    return to;
  };

  it('becomes the config.json and generation_config.json that it stands for', async () => {
    const config = await readConfigDict(write());
    expect(config).to.deep.include({
      model_type: 'llama',
      vocab_size: 4,
      num_key_value_heads: 4,
      head_dim: 8,
    });
    expect(config).to.deep.include({ tie_word_embeddings: true, dtype: 'float32', attention_bias: false });
    expect(await readModelJson(path, 'generation_config.json')).to.deep.equal({ eos_token_id: [0, 2] });
    expect(await readModelJson(path, 'special_tokens_map.json')).to.equal(undefined);
    const sampled = { ...METADATA, 'general.sampling.temp': 0.5, 'general.sampling.top_k': 20 };
    expect(await readModelJson(write(sampled), 'generation_config.json')).to.deep.include({
      do_sample: true,
      temperature: 0.5,
      top_k: 20,
    });
  });

  it('tells how rotary embeddings are scaled', async () => {
    const scaling = async (metadata: object, tensors: readonly WrittenTensor[] = []) =>
      (await readConfigDict(write({ ...METADATA, ...metadata }, [EMBEDDING, ...tensors]))).rope_scaling;
    const theta = 500_000;
    // As llama.cpp's converter writes those of Llama 3.2.
    const llama3 = Array.from({ length: 4 }, (_, i) => {
      const length = (2 * Math.PI) / theta ** (-i / 4);
      if (length < 8192 / 4) return 1;
      return length > 8192 ? 32 : 1 / ((1 - (8192 / length - 1) / 3) / 32 + (8192 / length - 1) / 3);
    });
    expect(await scaling({ 'llama.rope.freq_base': theta }, [factors(llama3)])).to.deep.include({
      rope_type: 'llama3',
      factor: 32,
    });
    expect(await scaling({}, [factors([1, 2, 3, 4])])).to.deep.include({
      rope_type: 'longrope',
      short_factor: [1, 2, 3, 4],
      attention_factor: 1,
    });
    const both = [
      factors([1, 1, 1, 1], 'rope_factors_short.weight'),
      factors([2, 2, 2, 2], 'rope_factors_long.weight'),
    ];
    expect(await scaling({ 'llama.rope.scaling.attn_factor': 1.25 }, both)).to.deep.include({
      long_factor: [2, 2, 2, 2],
      attention_factor: 1.25,
    });
    const yarn = { 'llama.rope.scaling.type': 'yarn', 'llama.rope.scaling.factor': 4 };
    expect(await scaling({ ...yarn, 'llama.rope.scaling.original_context_length': 16 })).to.deep.equal({
      rope_type: 'yarn',
      factor: 4,
      original_max_position_embeddings: 16,
    });
    expect(await scaling({ 'llama.rope.scaling.type': 'none' })).to.equal(undefined);
  });

  it('is read of several files, of which the first is given', async () => {
    const first = write(
      { ...METADATA, 'split.count': 2 },
      [EMBEDDING],
      join(folder, 'm-00001-of-00002.gguf'),
    );
    const second = write(
      { 'split.count': 2 },
      [{ ...EMBEDDING, name: 'output.weight' }],
      join(folder, 'm-00002-of-00002.gguf'),
    );
    const { tensors } = await Checkpoint.open(first, { config: await readConfigDict(first) });
    expect([...tensors].map(([name, { file }]) => [name, file])).to.deep.equal([
      ['model.embed_tokens.weight', first],
      ['lm_head.weight', second],
    ]);
    const renamed = write({ ...METADATA, 'split.count': 2 }, [EMBEDDING], join(folder, 'one.gguf'));
    const error: unknown = await readConfigDict(renamed).catch((thrown) => thrown);
    expect(error)
      .to.have.property('message')
      .match(/one of 2 files: give the first of them/);
  });

  it('is refused where it is broken, and says how', async () => {
    const whole = ggufBytes(METADATA, [EMBEDDING]);
    const at = (offset: number, bytes: readonly number[]) => {
      const changed = Buffer.from(whole);
      changed.set(bytes, offset);
      return changed;
    };
    const tensor = (changes: Partial<WrittenTensor>) => ggufBytes(METADATA, [{ ...EMBEDDING, ...changes }]);
    for (const [bytes, message] of [
      [at(0, [0x50]), /must begin with "GGUF", found "PGUF"/],
      [at(4, [9]), /version must be one of 2, 3, little-endian, found 9/],
      [at(15, [0xff]), /the number of tensors must be at most 131072/],
      [at(31, [0xff]), /the length of a key must be at most/],
      [tensor({ type: 16 }), /"token_embd\.weight" has the type IQ2_XXS; read are F32, .*Q4_K_M/],
      [tensor({ type: 999 }), /has the type type 999/],
      [tensor({ type: 12 }), /rows of 32 numbers, which do not fill blocks of 256 \(Q4_K\)/],
      [tensor({ shape: [2 ** 40, 2 ** 40] }), /is truncated/],
      [ggufBytes(METADATA, [EMBEDDING, EMBEDDING]), /"token_embd\.weight" is there twice/],
      [
        ggufBytes({ ...METADATA, 'general.alignment': 12 }, [EMBEDDING]),
        /general\.alignment must be a multiple of 8/,
      ],
      [
        ggufBytes({ ...METADATA, 'general.architecture': 'rwkv7' }),
        /general\.architecture must be one of llama, .*, found "rwkv7"/,
      ],
      [
        ggufBytes({ ...METADATA, 'llama.block_count': 2 ** 31 }, [EMBEDDING]),
        /llama\.block_count must be a number of at most 10000 layers, found 2147483648/,
      ],
      [
        ggufBytes({ 'general.architecture': 'llama' }, [EMBEDDING]),
        /llama\.attention\.head_count is missing/,
      ],
    ] as const) {
      writeFileSync(path, bytes);
      const error: unknown = await readConfigDict(path).catch((thrown) => thrown);
      expect(error, String(message)).to.be.instanceOf(AtbError).with.property('message').match(message);
    }
  });

  it('is refused wherever it is cut off', async () => {
    const whole = ggufBytes(METADATA, [EMBEDDING]);
    for (let length = 0; length < whole.length; length += 7) {
      writeFileSync(path, whole.subarray(0, length));
      const error: unknown = await readGgufHeader(path).catch((thrown) => thrown);
      expect(error, `${length}`).to.be.instanceOf(AtbError).with.property('code', 'WEIGHT_FILE_TRUNCATED');
    }
  });
});
