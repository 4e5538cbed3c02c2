import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { StoredNames } from '../../src/weights/stored-names.js';
import { failure, safetensorsBytes, temporaryFolder } from './safetensors-writer.js';

describe('names in the files', () => {
  it('are what the model asks for, where the files have it so', () => {
    const names = new StoredNames(['model.norm.weight', 'norm.weight', 'module.model.norm.weight']);
    expect(names.find('model.norm.weight')).to.equal('model.norm.weight');
    expect(names.find('model.layers.0.norm.weight')).to.equal(undefined);
  });

  it('may lack the first part, when a bare model was saved', () => {
    const names = new StoredNames(['embed_tokens.weight', 'layers.0.mlp.up_proj.weight', 'lm_head.weight']);
    expect(names.find('model.embed_tokens.weight')).to.equal('embed_tokens.weight');
    expect(names.find('model.layers.0.mlp.up_proj.weight')).to.equal('layers.0.mlp.up_proj.weight');
    expect(names.find('lm_head.weight')).to.equal('lm_head.weight');
  });

  it('do not lack the first part of one tensor only', () => {
    const names = new StoredNames(['model.embed_tokens.weight', 'norm.weight', 'weight']);
    expect(names.find('model.norm.weight')).to.equal(undefined);
    expect(names.find('lm_head.weight')).to.equal(undefined);
  });

  for (const [wrapping, stored] of [
    ['DDP', 'module.model.layers.0.mlp.up_proj.weight'],
    ['torch.compile', '_orig_mod.model.layers.0.mlp.up_proj.weight'],
    ['torch.compile of each layer', 'model.layers.0._orig_mod.mlp.up_proj.weight'],
    ['DDP within torch.compile', '_orig_mod.module.model.layers.0.mlp.up_proj.weight'],
    ['torch.compile within DDP', 'module._orig_mod.model.layers.0.mlp.up_proj.weight'],
    ['FSDP', '_fsdp_wrapped_module.model.layers.0._fsdp_wrapped_module.mlp.up_proj.weight'],
    ['activation checkpointing', 'model.layers.0._checkpoint_wrapped_module.mlp.up_proj.weight'],
    ['peft', 'base_model.model.model.layers.0.mlp.up_proj.weight'],
    ['a bare model within DDP', 'module.layers.0.mlp.up_proj.weight'],
  ] as const) {
    it(`may be those of ${wrapping}`, () => {
      const names = new StoredNames([stored]);
      expect(names.find('model.layers.0.mlp.up_proj.weight')).to.equal(stored);
    });
  }

  it('that would be two tensors without their wrapping are not taken', () => {
    const names = new StoredNames(['module.a.b.weight', '_orig_mod.a.b.weight']);
    expect(names.find('a.b.weight')).to.equal(undefined);
  });
});

describe('a weight that the files hold in another way', () => {
  const path = temporaryFolder();
  const WIDTHS: Readonly<Record<string, number>> = {
    F32: 4,
    U32: 4,
    I32: 4,
    U8: 1,
    I8: 1,
    F8_E4M3: 1,
    BF16: 2,
  };
  let count = 0;

  async function checkpoint(tensors: Readonly<Record<string, readonly [dtype: string, ...shape: number[]]>>) {
    const folder = path(`other-${count++}`);
    mkdirSync(folder);
    const bytes = safetensorsBytes(
      Object.entries(tensors).map(([name, [dtype, ...shape]]) => ({
        name,
        dtype,
        shape,
        data: new Uint8Array(shape.reduce((product, size) => product * size, WIDTHS[dtype] ?? 1)),
      })),
    );
    writeFileSync(join(folder, 'model.safetensors'), bytes);
    return Checkpoint.open(folder);
  }

  const q = 'model.layers.0.self_attn.q_proj';

  for (const [method, tensors] of [
    ['GPTQ', { qweight: ['I32', 4, 32], g_idx: ['I32', 32], scales: ['F32', 1, 32] }],
    ['GPTQ', { qweight: ['I32', 4, 32], qzeros: ['I32', 1, 4], scales: ['F32', 1, 32] }],
    ['AWQ', { qweight: ['I32', 32, 4], qzeros: ['I32', 1, 4], scales: ['F32', 1, 32] }],
    ['MLX', { weight: ['U32', 32, 4], scales: ['F32', 32, 1], biases: ['F32', 32, 1] }],
    ['bitsandbytes (4 bits)', { weight: ['U8', 512, 1], 'weight.absmax': ['U8', 16] }],
    ['bitsandbytes (8 bits)', { weight: ['I8', 32, 32], SCB: ['F32', 32] }],
    ['compressed-tensors', { weight_packed: ['I32', 32, 4], weight_scale: ['BF16', 32, 1] }],
    ['FP8', { weight: ['F8_E4M3', 32, 32], weight_scale: ['F32', 1] }],
    ['quant_model_description.json', { weight: ['I8', 32, 32], weight_scale: ['F32', 32, 1] }],
  ] as const) {
    it(`names ${method}, and what to do`, async () => {
      const named = Object.entries(tensors).map(([suffix, tensor]) => [`${q}.${suffix}`, tensor]);
      const weights = (await checkpoint(Object.fromEntries(named))).weights();
      const error = await failure('WEIGHT_QUANT_METHOD', () => weights.get(`${q}.weight`, [32, 32]));
      expect(error.message).to.contain(method).and.contain('--quantize').and.contain(`${q}.weight`);
    });
  }

  it('does not matter beside floats', async () => {
    const weights = (
      await checkpoint({ [`${q}.weight`]: ['F32', 32, 32], [`${q}.qweight`]: ['I32', 4, 32] })
    ).weights();
    expect(weights.get(`${q}.weight`, [32, 32]).dtype).to.equal('f32');
    const error = await failure('WEIGHT_SHAPE_MISMATCH', async () =>
      (await checkpoint({ [`${q}.weight`]: ['F32', 32, 32] })).weights().get(`${q}.weight`, [64, 32]),
    );
    expect(error.detail.found).to.deep.equal([32, 32]);
    expect(error.message).to.contain('config.json and the files must be of one checkpoint');
  });

  for (const [title, stored, ...says] of [
    ['a LoRA adapter', `base_model.model.${q}.base_layer.weight`, 'merge_and_unload'],
    ['a LoRA adapter', `base_model.model.${q}.lora_A.default.weight`, 'merge_and_unload'],
    ["Mistral's own format", 'layers.0.attention.wq.weight', "Mistral's and Meta's own format"],
    ['llama.cpp', 'blk.0.attn_q.weight', 'llama.cpp'],
    ['a model within another one', `language_model.${q}.weight`, '"language_model."', 'by itself'],
    ['a model within two', `module.vlm.text.${q}.weight`, '"vlm.text."'],
  ] as const) {
    it(`is missing among names of ${title}, and the message says what to do`, async () => {
      const weights = (await checkpoint({ [stored]: ['F32', 32, 32] })).weights();
      const error = await failure('WEIGHT_NOT_FOUND', () => weights.get(`${q}.weight`, [32, 32]));
      for (const piece of says) expect(error.message).to.contain(piece);
    });
  }

  it('is of a layer that no file has, and the message says how many they have', async () => {
    const layer = (index: number) => `model.layers.${index}.input_layernorm.weight`;
    const weights = (await checkpoint({ [layer(0)]: ['F32', 8], [layer(1)]: ['F32', 8] })).weights();
    const error = await failure('WEIGHT_NOT_FOUND', () => weights.get(layer(2), [8]));
    expect(error.message).to.contain('layers 0 to 1 alone').and.contain('config.json has more');
    const other = await failure('WEIGHT_NOT_FOUND', () => weights.get('model.layers.1.other.weight', [8]));
    expect(other.message).not.to.contain('alone');
  });

  it('is a head that was not saved, and the message names the setting', async () => {
    const weights = (await checkpoint({ 'model.embed_tokens.weight': ['F32', 8, 4] })).weights();
    const error = await failure('WEIGHT_NOT_FOUND', () => weights.get('lm_head.weight', [8, 4]));
    expect(error.message).to.contain('"tie_word_embeddings": true');
    const inner = (await checkpoint({ 'vlm.lm_head.weight': ['F32', 8, 4] })).weights();
    const other = await failure('WEIGHT_NOT_FOUND', () => inner.get('lm_head.weight', [8, 4]));
    expect(other.message).to.contain('"vlm."').and.not.contain('tie_word_embeddings');
  });
});
