import { rmSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { AtbGraph } from '../../../src/graph/atb-graph.js';
import { BaseRMSNorm } from '../../../src/layers/norms/norms.js';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import type { OpenFormat } from '../../../src/weights/formats/format.js';
import { openFormat } from '../../../src/weights/formats/index.js';
import type { LinearQuant } from '../../../src/weights/quantization.js';
import { quantizationPlan } from '../../../src/weights/quantization.js';
import { readTensor } from '../../../src/weights/read-tensor.js';
import { failure, safetensorsBytes, temporaryFolder } from '../safetensors-writer.js';

describe('the description of a quantised checkpoint', () => {
  const path = temporaryFolder();
  const file = () => path('quant_model_description.json');
  const write = (content: unknown) =>
    writeFileSync(file(), typeof content === 'string' ? content : JSON.stringify(content));
  const open = () =>
    openFormat({
      directory: path(),
      links: {},
      config: undefined,
      tensors: undefined,
      read: () => Promise.reject(new RangeError('no tensor')),
    });
  const read = async (content: unknown) => {
    write(content);
    return open();
  };
  const quantOf = (format: OpenFormat | undefined, name: string): LinearQuant | undefined =>
    format?.quantOf({ name, tensor: () => undefined }, 'projection');

  it('is absent of a float one', async () => {
    rmSync(file(), { force: true });
    expect(await open()).to.equal(undefined);
  });

  it('says for each tensor how its linear is stored', async () => {
    const found = await read({
      model_quant_type: 'W4A16',
      group_size: 128,
      'a.weight': 'W4A16',
      'b.weight': 'W8A16',
      'c.weight': 'W8A8_DYNAMIC',
      'd.weight': 'FLOAT',
      'e.weight': 'W4A8_DYNAMIC',
      // What other tools write beside it.
      version: '1.0.0',
      optional: { nested: [1, 2.5, null, { a: true }] },
    });
    expect(found?.method).to.equal('W4A16');
    const forms = ['a', 'b', 'c', 'd', 'e', 'unlisted'].map((linear) => {
      const { desc, groupSize, rows } = quantOf(found, linear) ?? {};
      return desc && `${desc}/${groupSize} ${typeof rows}`;
    });
    expect(forms).to.deep.equal([
      'W4A16/128 function',
      'W8A16/0 function',
      'W8A8_DYNAMIC/0 function',
      undefined,
      'W4A8_DYNAMIC/128 function',
      undefined,
    ]);
  });

  it('refuses types that the engine lacks, when they are needed', async () => {
    const found = await read({ 'a.weight': 'W8A8SC', 'b.weight': 'W8A16' });
    expect(quantOf(found, 'b')?.desc).to.equal('W8A16');
    const error = await failure('WEIGHT_QUANT_TYPE', () => quantOf(found, 'a'));
    expect(error.message).to.match(
      /type of "a.weight" must be one of W8A16, W8A8, W8A8_DYNAMIC, W4A16, W4A8_DYNAMIC, FLOAT, found "W8A8SC"/,
    );
  });

  it('refuses groups of no size or of a wild one', async () => {
    const found = await read({ 'a.weight': 'W4A16', group_size: 0 });
    await failure('WEIGHT_QUANT_DESCRIPTION', () => quantOf(found, 'a'));
    for (const size of [-64, 1.5, 2 ** 40]) {
      await failure('WEIGHT_QUANT_DESCRIPTION', () => read({ group_size: size }));
    }
  });

  it('refuses what is no description', async () => {
    await failure('WEIGHT_QUANT_DESCRIPTION', () => read([]));
    await failure('WEIGHT_FILE_JSON', () => read('{"a.weight": "W8A16"'));
    await failure('WEIGHT_FILE_DUPLICATE_KEY', () => read('{"a.weight": "W8A16", "a.weight": "FLOAT"}'));
    await failure('WEIGHT_FILE_TOO_DEEP', () => read(`{"a": ${'['.repeat(99)}${']'.repeat(99)}}`));
  });

  it('belongs to a checkpoint, which cannot be quantised again and notices its change', async () => {
    write({ model_quant_type: 'W8A16', 'a.weight': 'W8A16' });
    const data = new Uint8Array(8);
    writeFileSync(
      path('model.safetensors'),
      safetensorsBytes([{ name: 'a.weight', dtype: 'I8', shape: [2, 4], data }]),
    );
    const checkpoint = await Checkpoint.open(path());
    expect(checkpoint.weights().quantOf('a', 'projection')?.desc).to.equal('W8A16');
    const quantization = quantizationPlan({ quantize: 'w8a16' });
    const error = await failure('WEIGHT_QUANT_AGAIN', () => checkpoint.weights({ quantization }));
    expect(error.message).to.match(/integers already .* says "W8A16"/);
    await checkpoint.checkUnchanged();
    write({ model_quant_type: 'W8A16', 'a.weight': 'FLOAT' });
    await failure('WEIGHT_FILE_CHANGED', () => checkpoint.checkUnchanged());
  });

  describe('with norms that smoothing changed', () => {
    const f32 = (name: string, ...values: number[]) => ({
      name,
      dtype: 'F32',
      shape: [values.length],
      data: new Uint8Array(Float32Array.from(values).buffer),
    });
    const LAYER = 'model.layers.0';
    /** A layer whose attention is integers and whose MLP is floats. */
    async function open() {
      write({
        [`${LAYER}.self_attn.q_proj.weight`]: 'W8A16',
        [`${LAYER}.mlp.up_proj.weight`]: 'FLOAT',
      });
      const norms = ['input_layernorm', 'post_attention_layernorm'].flatMap((norm) => [
        f32(`${LAYER}.${norm}.weight`, 1, 1),
        f32(`${LAYER}.${norm}.module.weight`, 2, 2),
        f32(`${LAYER}.${norm}.module.bias`, 3, 4),
      ]);
      const tensors = [...norms, f32('model.norm.weight', 1, 1), f32('model.norm.bias', 5, 6)];
      writeFileSync(path('model.safetensors'), safetensorsBytes(tensors));
      const checkpoint = await Checkpoint.open(path());
      const weights = checkpoint.weights({ dtype: 'f32' });
      const norm = (name: string) => new BaseRMSNorm(weights.at(name), 2, 1e-5);
      return { checkpoint, norm };
    }
    const numbersOf = async (norm: BaseRMSNorm) =>
      Promise.all(norm.getWeights().map(async (ref) => [...(await readTensor(ref)).data]));

    it('reads them where what follows is integers, and the others where it is floats', async () => {
      const { norm } = await open();
      expect(await numbersOf(norm(`${LAYER}.input_layernorm`))).to.deep.equal([
        [2, 2],
        [3, 4],
      ]);
      expect(await numbersOf(norm(`${LAYER}.post_attention_layernorm`))).to.deep.equal([[1, 1]]);
    });

    it('adds a bias that lies beside the norm', async () => {
      const { norm } = await open();
      const { weight, bias } = norm('model.norm');
      expect(bias?.name).to.equal('model.norm.smoothing_bias');
      const graph = new AtbGraph('norm');
      graph.addInputOutput({ input: ['x', weight.name, 'model.norm.smoothing_bias'], output: ['y'] });
      norm('model.norm').buildGraph(graph, 'x', 'y');
      expect(graph.build().nodes.map(({ op, inputs }) => ['type' in op && op.type, ...inputs])).to.deep.equal(
        [
          ['RmsNorm', 'x', 'model.norm.weight'],
          ['Elewise', 'y_unbiased', 'model.norm.smoothing_bias'],
        ],
      );
    });

    it('leaves out the ones that are not meant, and scales of a cache, without a word', async () => {
      const { checkpoint } = await open();
      for (const name of [
        `${LAYER}.input_layernorm.weight`,
        `${LAYER}.post_attention_layernorm.module.bias`,
        `${LAYER}.self_attn.k_proj.kv_cache_scale`,
      ])
        expect(checkpoint.format?.isSpare?.(name), name).to.equal(true);
      expect(checkpoint.format?.isSpare?.('model.norm.bias')).to.equal(false);
    });
  });
});
