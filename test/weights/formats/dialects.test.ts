import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { judgeUnread } from '../../../src/layers/config/known-keys.js';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import { declaredQuantization } from '../../../src/weights/formats/index.js';
import { failure, temporaryFolder } from '../safetensors-writer.js';

const FIXTURES = join(import.meta.dirname, '../../../../test/fixtures/published');
const NAME = 'layer.proj';

describe('what configurations say of single linears', () => {
  const declared = async (config: object) => {
    const plan = await declaredQuantization(
      '/nowhere',
      { quantization_config: config },
      { willQuantize: false },
    );
    return (linear: string) => {
      const { desc, groupSize } = plan?.(linear, linear === 'lm_head' ? 'head' : 'projection') ?? {};
      return desc && `${desc}/${groupSize}`;
    };
  };

  it('gptqmodel: the first pattern counts that fits from the start of a name', async () => {
    const of = await declared({
      quant_method: 'gptq',
      bits: 4,
      group_size: 128,
      dynamic: {
        '-:.*\\.1\\.self_attn': {},
        '+:.*self_attn\\.(q|k)_proj': { bits: 8, group_size: 32 },
        self_attn: { bits: 8 },
        lm_head: { group_size: 64 },
      },
    });
    expect(of('model.layers.0.mlp.up_proj')).to.equal('W4A16/128');
    expect(of('model.layers.0.self_attn.q_proj')).to.equal('W8A16/32');
    expect(of('model.layers.0.self_attn.v_proj')).to.equal('W4A16/128');
    expect(of('model.layers.1.self_attn.q_proj')).to.equal(undefined);
    expect(of('lm_head')).to.equal('W4A16/64');
  });

  it('auto-round: a name counts before patterns, which may lie anywhere', async () => {
    const of = await declared({
      quant_method: 'intel/auto-round',
      bits: 4,
      group_size: 128,
      extra_config: {
        'self_attn\\.[qk]_proj': { bits: 8 },
        'model.layers.0.self_attn.q_proj': { group_size: 32 },
        'model.layers.0.mlp.gate': { bits: 16, data_type: 'float' },
      },
    });
    expect(of('model.layers.0.self_attn.q_proj')).to.equal('W4A16/32');
    expect(of('model.layers.1.self_attn.q_proj')).to.equal('W8A16/128');
    expect(of('model.layers.0.mlp.gate')).to.equal(undefined);
    expect(of('model.layers.0.mlp.gate_proj')).to.equal('W4A16/128');
    expect(of('lm_head')).to.equal(undefined);
  });

  it('modelopt: patterns of the shell, parts of names, or a kind for each layer', async () => {
    const whole = await declared({
      quant_method: 'modelopt',
      quant_algo: 'FP8',
      ignore: ['lm_head', 'model.layers.1.*'],
    });
    expect(whole('model.layers.10.mlp.up_proj')).to.equal('FP8/0');
    expect(whole('model.layers.1.mlp.up_proj')).to.equal(undefined);
    expect(whole('lm_head')).to.equal(undefined);
    const mixed = await declared({
      quant_method: 'modelopt',
      quant_algo: 'MIXED_PRECISION',
      quantized_layers: { a: { quant_algo: 'NVFP4' }, 'b.mlp.experts': { quant_algo: 'FP8' } },
    });
    expect(mixed('a')).to.equal('FP4/16');
    expect(mixed('b.mlp.experts.3.up_proj')).to.equal('FP8/0');
  });

  it('compressed-tensors: what text_config says is about text alone, under names of its own', async () => {
    const config = {
      quant_method: 'compressed-tensors',
      format: 'pack-quantized',
      config_groups: {
        group_0: {
          targets: ['Linear'],
          weights: { num_bits: 4, type: 'int', strategy: 'group', group_size: 32, symmetric: true },
        },
      },
      ignore: ['lm_head', 're:.*self_attn.*'],
    };
    const text_config = { quantization_config: config };
    const plan = await declaredQuantization('/nowhere', { text_config }, { willQuantize: false });
    const of = (name: string) => plan?.(name, 'projection')?.desc;
    expect(of('language_model.model.layers.1.mlp.experts.0.up_proj')).to.equal('W4A16');
    expect(of('language_model.model.layers.1.self_attn.o_proj')).to.equal(undefined);
    expect(of('language_model.lm_head')).to.equal(undefined);
    expect(of('vision_tower.encoder.blocks.0.wo')).to.equal(undefined);
  });

  it('compressed-tensors: what older versions call naive is floats or integers, as its type says', async () => {
    // As nm-testing/Meta-Llama-3.1-8B-Instruct-FP8-hf has it.
    const naive = (type: string, num_bits = 8) =>
      declared({
        quant_method: 'compressed-tensors',
        format: 'naive-quantized',
        ignore: ['lm_head'],
        quantization_status: 'frozen',
        config_groups: {
          group_0: {
            input_activations: { num_bits, strategy: 'tensor', type },
            targets: ['Linear'],
            weights: { num_bits, strategy: 'tensor', type },
          },
        },
      });
    expect((await naive('float'))('model.layers.0.mlp.up_proj')).to.equal('FP8/0');
    expect((await naive('int'))('model.layers.0.mlp.up_proj')).to.equal('W8A8/0');
  });

  it('gptq and awq: groups are of 128 where nothing says, as in transformers', async () => {
    const sizes = [{ quant_method: 'awq' }, { quant_method: 'gptq', bits: 4 }].map(async (config) =>
      (await declared(config))('model.layers.0.mlp.up_proj'),
    );
    expect(await Promise.all(sizes)).to.deep.equal(['W4A16/128', 'W4A16/128']);
    const own = { quant_method: 'awq', w_bit: 4, q_group_size: 64, zero_point: true, version: 'GEMM' };
    expect((await declared(own))('model.layers.0.mlp.up_proj')).to.equal('W4A16/64');
  });

  it('compressed-tensors: a group without weights leaves linears as they are', async () => {
    const weights = { num_bits: 4, type: 'int', symmetric: true, strategy: 'group', group_size: 128 };
    const of = await declared({
      quant_method: 'compressed-tensors',
      format: 'pack-quantized',
      config_groups: {
        attention: { targets: ['LlamaAttention', 're:.*k_proj$'], weights: null, input_activations: weights },
        group_0: { targets: ['re:.*mlp'], weights },
      },
    });
    expect(of('model.layers.0.mlp.up_proj')).to.equal('W4A16/128');
    expect(of('model.layers.0.self_attn.k_proj')).to.equal(undefined);
  });

  it('are no reason to refuse a model, by whichever name of the tool', () => {
    for (const quant_method of ['auto-round', 'intel/auto-round', 'modelopt', 'modelopt_fp4', 'fbgemm_fp8'])
      expect(judgeUnread('quantization_config', { quant_method })).to.equal('harmless');
    const verdict = judgeUnread('quantization_config', { quant_method: 'hqq' });
    expect(verdict)
      .to.have.property('refused')
      .that.matches(/quantised by "hqq".*auto-round.*modelopt/);
  });
});

describe('hf_quant_config.json', () => {
  const path = temporaryFolder();
  const open = (text: string, config = {}) => {
    copyFileSync(join(FIXTURES, 'mo-fp8.safetensors'), path('model.safetensors'));
    writeFileSync(path('hf_quant_config.json'), text);
    return Checkpoint.open(path(), { config });
  };
  const quantization = { quant_algo: 'FP8', kv_cache_quant_algo: 'FP8', exclude_modules: ['lm_head'] };
  const whole = JSON.stringify({ producer: { name: 'modelopt' }, quantization });

  it('says what config.json does not', async () => {
    const checkpoint = await open(whole);
    expect(checkpoint.format?.method).to.equal('modelopt (FP8)');
    expect(checkpoint.quantOf(NAME, 'projection')).to.include({ desc: 'FP8', groupSize: 0 });
    expect(checkpoint.format?.notes?.join()).to.match(/activations stay floats.*--kv_quant int8/);
    expect(checkpoint.stamps).to.have.length(2);
  });

  it('does not count where config.json says something', async () => {
    const config = JSON.parse(readFileSync(join(FIXTURES, 'cases.json'), 'utf8'))['fp8-tensor'] as object;
    const checkpoint = await open(whole, { quantization_config: config });
    expect(checkpoint.format?.method).to.match(/^fp8/);
  });

  it('is refused where it is none', async () => {
    for (const text of ['', '[]', '{"quantization": []}', `${whole.slice(0, -1)}`]) {
      const error = await failure('WEIGHT_QUANT_DESCRIPTION', () => open(text));
      expect(error.message).to.match(/hf_quant_config.json.*quantization" must be an object/);
    }
  });
});
