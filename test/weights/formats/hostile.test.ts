import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ErrorCode } from '../../../src/errors.js';
import { createEngine } from '../../../src/native/index.js';
import { weightLoads } from '../../../src/runner/weight-storage.js';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import { Linear } from '../../../src/weights/linear.js';
import { quantizationPlan } from '../../../src/weights/quantization.js';
import { openSafetensors } from '../../../src/weights/safetensors-file.js';
import { failure, safetensorsBytes, temporaryFolder, type WriterTensor } from '../safetensors-writer.js';

const FIXTURES = join(import.meta.dirname, '../../../../test/fixtures/published');
type Dict = Record<string, unknown>;
const CONFIGS: Readonly<Record<string, Dict>> = JSON.parse(
  readFileSync(join(FIXTURES, 'cases.json'), 'utf8'),
);
const NF4_STATE = 'weight.quant_state.bitsandbytes__nf4';

/** What is done to a good checkpoint: to its tensors, by what follows the linear's name, and to its configuration. */
interface Damage {
  readonly tensors?: (tensors: Map<string, WriterTensor>) => void;
  readonly config?: Dict;
}

const SCALES = [
  'scales',
  'weight_scale',
  'weight_scale_inv',
  'weight_scales',
  'SCB',
  'weight.nested_absmax',
  'weight.absmax',
];
const ints = (tensor: WriterTensor | undefined): Int32Array =>
  new Int32Array((tensor as WriterTensor).data.buffer as ArrayBuffer);
const withShape = (suffix: string, change: (shape: readonly number[]) => number[]) => ({
  tensors: (tensors: Map<string, WriterTensor>) => {
    const tensor = tensors.get(suffix) as WriterTensor;
    const shape = change(tensor.shape);
    const elements = tensor.shape.reduce((a, b) => a * b, 1);
    const size = tensor.data.length / elements;
    const data = tensor.data.slice(0, shape.reduce((a, b) => a * b, 1) * size);
    tensors.set(suffix, { ...tensor, shape, data });
  },
});
const text = (suffix: string, content: string): Damage => ({
  tensors: (tensors) => {
    const data = new TextEncoder().encode(content);
    tensors.set(suffix, { ...(tensors.get(suffix) as WriterTensor), shape: [data.length], data });
  },
});
/** The state of a matrix of 4-bit codes, otherwise. */
const state = (changes: Dict): Damage => ({
  tensors: (tensors) => {
    const stored = JSON.parse(new TextDecoder().decode(tensors.get(NF4_STATE)?.data)) as Dict;
    text(NF4_STATE, JSON.stringify({ ...stored, ...changes })).tensors?.(tensors);
  },
});
const group = (changes: Dict, weights: Dict = {}): Dict => groupOf('ct-pack-4', weights, changes);
function groupOf(name: string, weights: Dict, changes: Dict = {}): Dict {
  const { config_groups: groups } = CONFIGS[name] as { config_groups: { group_0: { weights: Dict } } };
  return {
    config_groups: {
      group_0: { ...groups.group_0, ...changes, weights: { ...groups.group_0.weights, ...weights } },
    },
  };
}

/** Case, damage, error, and what its message says. */
const DAMAGES: ReadonlyArray<readonly [title: string, of: string, Damage, ErrorCode, ...says: RegExp[]]> = [
  [
    'other bits than the files',
    'gptq-4-sym',
    { config: { bits: 8 } },
    'WEIGHT_QUANT_CONTRADICTION',
    /config.json says "bits" 8/,
    /layer.proj.scales/,
  ],
  [
    'another group size',
    'gptq-4-sym',
    { config: { group_size: 64 } },
    'WEIGHT_QUANT_CONTRADICTION',
    /"group_size" 64, but .*scales" in the files has 3 groups for 80/,
  ],
  [
    'zero points that are not symmetric',
    'gptq-4-asym',
    { config: { sym: true } },
    'WEIGHT_QUANT_CONTRADICTION',
    /"sym" true, but "layer.proj.qzeros"/,
  ],
  [
    'zero points of other bits',
    'gptq-4-asym',
    withShape('qzeros', ([g = 0]) => [g, 2]),
    'WEIGHT_QUANT_CONTRADICTION',
  ],
  [
    'bits that are not read',
    'gptq-4-sym',
    { config: { bits: 3 } },
    'WEIGHT_QUANT_DESCRIPTION',
    /quantization_config.bits" must be one of 4, 8, found 3/,
  ],
  [
    'another order of words',
    'gptq-4-sym',
    { config: { checkpoint_format: 'marlin' } },
    'WEIGHT_QUANT_DESCRIPTION',
    /checkpoint_format.*gptq_v2.*"marlin"/,
  ],
  [
    'a linear that should be floats',
    'gptq-4-dynamic',
    { config: { dynamic: { '-:layer': {} } } },
    'WEIGHT_QUANT_CONTRADICTION',
    /"dynamic.-:layer" that it stays as it is, but "layer.proj" in the files has qweight/,
  ],
  [
    'bits that are not read, of some',
    'gptq-4-dynamic',
    { config: { dynamic: { '.*proj': { bits: 3 } } } },
    'WEIGHT_QUANT_DESCRIPTION',
    /quantization_config.dynamic..\*proj.bits" must be one of 4, 8, found 3/,
  ],
  [
    'a pattern that is none',
    'gptq-4-dynamic',
    { config: { dynamic: { '+:(?P<x>': {} } } },
    'WEIGHT_QUANT_DESCRIPTION',
    /dynamic" must be patterns that this engine understands/,
  ],
  [
    'a pattern that has no end',
    'gptq-4-dynamic',
    { config: { dynamic: { '+:((((((.+)+)+)+)+)+)+!': {} } } },
    'WEIGHT_QUANT_DESCRIPTION',
    /dynamic" must be patterns that this engine understands/,
  ],
  [
    'rules that are none',
    'gptq-4-dynamic',
    { config: { dynamic: { '+:layer': 4 } } },
    'WEIGHT_QUANT_DESCRIPTION',
    /dynamic.\+:layer" must be an object, found 4/,
  ],
  [
    'other groups than the files, of some',
    'awq-gptqmodel',
    { config: { dynamic: {} } },
    'WEIGHT_SHAPE_MISMATCH',
    /scales/,
  ],
  [
    'an order of words that is not read',
    'ar-gptq',
    { config: { packing_format: 'auto_round:marlin' } },
    'WEIGHT_QUANT_DESCRIPTION',
    /packing_format" must be one of "auto_round:gptq"/,
  ],
  [
    'floats of 4 bits',
    'ar-gptq',
    { config: { data_type: 'mx_fp' } },
    'WEIGHT_QUANT_DESCRIPTION',
    /data_type" must be one of "int", found "mx_fp"/,
  ],
  ['activations of 8 bits', 'ar-gptq', { config: { act_bits: 8 } }, 'WEIGHT_QUANT_DESCRIPTION', /act_bits/],
  [
    'zero points of the other packing',
    'ar-own-channel',
    { config: { packing_format: 'auto_round:auto_gptq' } },
    'WEIGHT_QUANT_CONTRADICTION',
    /"sym" true, but "layer.proj.qzeros"/,
  ],
  [
    'a linear that should be floats',
    'ar-extra-name',
    { config: { extra_config: { 'layer.proj': { bits: 16 } } } },
    'WEIGHT_QUANT_CONTRADICTION',
    /"extra_config.layer.proj" that it stays as it is/,
  ],
  [
    'a way that is not read',
    'mo-fp8',
    { config: { quant_algo: 'W4A8_AWQ' } },
    'WEIGHT_QUANT_DESCRIPTION',
    /quant_algo" must be one of FP8, .*NVFP4.*found "W4A8_AWQ"/,
  ],
  [
    'a way of a layer that is not read',
    'mo-mixed',
    { config: { quantized_layers: { 'layer.proj': { quant_algo: 'NVFP4_SVD' } } } },
    'WEIGHT_QUANT_DESCRIPTION',
    /quantized_layers.layer.proj.quant_algo/,
  ],
  [
    'another kind of numbers',
    'mo-nvfp4',
    { config: { quant_algo: 'FP8' } },
    'WEIGHT_QUANT_CONTRADICTION',
    /that it is fp8, but "layer.proj.weight" in the files is U8/,
  ],
  [
    'a linear that should be floats',
    'mo-fp8',
    { config: { ignore: ['layer*'] } },
    'WEIGHT_QUANT_CONTRADICTION',
    /that it is not quantised, but "layer.proj.weight" in the files is F8_E4M3/,
  ],
  [
    'no scales',
    'mo-fp8-channel',
    { tensors: (t) => t.delete('weight_scale') },
    'WEIGHT_QUANT_CONTRADICTION',
    /has no weight_scale/,
  ],
  ['too few blocks', 'mo-fp8-block', withShape('weight_scale', () => [1, 1, 1, 1]), 'WEIGHT_SHAPE_MISMATCH'],
  [
    'a scale of scales that is NaN',
    'mo-nvfp4',
    { tensors: (t) => t.get('weight_scale_2')?.data.fill(0xff) },
    'WEIGHT_QUANT_CONTRADICTION',
    /weight_scale_2" in the files is NaN/,
  ],
  [
    'a group out of range',
    'gptq-4-act-order',
    {
      tensors: (t) => {
        ints(t.get('g_idx'))[7] = 3;
      },
    },
    'WEIGHT_QUANT_CONTRADICTION',
    /g_idx" in the files has group 3 for channel 7, of 3/,
  ],
  [
    'a negative group',
    'gptq-4-act-order',
    {
      tensors: (t) => {
        ints(t.get('g_idx'))[7] = -1;
      },
    },
    'WEIGHT_QUANT_CONTRADICTION',
    /group -1/,
  ],
  [
    'groups of other sizes',
    'gptq-4-act-order',
    {
      tensors: (t) => {
        ints(t.get('g_idx')).fill(0);
      },
    },
    'WEIGHT_QUANT_CONTRADICTION',
    /has 80 channels in group 0, not 32/,
  ],
  [
    'no groups at all',
    'gptq-4-sym',
    withShape('scales', ([, n = 0]) => [0, n]),
    'WEIGHT_QUANT_CONTRADICTION',
    /has 0 groups/,
  ],
  [
    'too few words',
    'gptq-4-channel',
    withShape('qweight', ([rows = 0, n = 0]) => [rows - 1, n]),
    'WEIGHT_SHAPE_MISMATCH',
  ],
  [
    'too few words of outputs',
    'awq',
    withShape('qweight', ([k = 0, words = 0]) => [k, words - 1]),
    'WEIGHT_SHAPE_MISMATCH',
  ],
  [
    'scales that are integers',
    'awq',
    { tensors: (t) => t.set('scales', { ...(t.get('scales') as WriterTensor), dtype: 'I16' }) },
    'WEIGHT_DTYPE_UNSUPPORTED',
    /scales/,
  ],
  [
    'words of floats',
    'awq',
    { tensors: (t) => t.set('qweight', { ...(t.get('qweight') as WriterTensor), dtype: 'F32' }) },
    'WEIGHT_CHANGE_INVALID',
    /words, i32/,
  ],
  [
    'a kernel of another order',
    'awq',
    { config: { version: 'gemv' } },
    'WEIGHT_QUANT_DESCRIPTION',
    /version" must be one of "gemm"/,
  ],
  ['no zero points', 'awq', { config: { zero_point: false } }, 'WEIGHT_QUANT_DESCRIPTION', /zero_point/],
  ['no scales', 'awq', { tensors: (t) => t.delete('scales') }, 'WEIGHT_NOT_FOUND', /scales/],
  [
    'a compressor that is not read',
    'ct-pack-4',
    { config: { format: 'marlin-24' } },
    'WEIGHT_QUANT_DESCRIPTION',
    /format" must be one of pack-quantized, int-quantized, float-quantized.*"marlin-24"/,
  ],
  [
    'sparse weights',
    'ct-pack-4',
    { config: { sparsity_config: { format: 'sparse-24-bitmask' } } },
    'WEIGHT_QUANT_DESCRIPTION',
    /2:4/,
  ],
  [
    'rotations',
    'ct-pack-4',
    { config: { transform_config: { config_groups: { R1: 1 } } } },
    'WEIGHT_QUANT_DESCRIPTION',
    /rotations/,
  ],
  [
    'no groups of linears',
    'ct-pack-4',
    { config: { config_groups: null } },
    'WEIGHT_QUANT_DESCRIPTION',
    /config_groups" must be an object/,
  ],
  [
    'a pattern that is none',
    'ct-pack-4',
    { config: { ignore: ['re:(?P<x>'] } },
    'WEIGHT_QUANT_DESCRIPTION',
    /ignore.*patterns/,
  ],
  [
    '3 bits',
    'ct-pack-4',
    { config: group({}, { num_bits: 3 }) },
    'WEIGHT_QUANT_DESCRIPTION',
    /group_0.weights.num_bits" must be one of 4, 8, found 3/,
  ],
  [
    'outputs that are quantised',
    'ct-pack-4',
    { config: group({ output_activations: { num_bits: 8 } }) },
    'WEIGHT_QUANT_DESCRIPTION',
    /output_activations/,
  ],
  [
    'a linear that should be floats',
    'ct-pack-4',
    { config: { ignore: ['re:layer'] } },
    'WEIGHT_QUANT_CONTRADICTION',
    /not quantised, but "layer.proj" in the files has weight_packed/,
  ],
  [
    'a linear that should be packed',
    'ct-int-8',
    { config: { format: 'pack-quantized' } },
    'WEIGHT_QUANT_CONTRADICTION',
    /pack-quantized, but "layer.proj" in the files has no weight_packed/,
  ],
  [
    'words that do not fit',
    'ct-pack-4',
    withShape('weight_packed', ([n = 0, words = 0]) => [n, words - 1]),
    'WEIGHT_SHAPE_MISMATCH',
    /weight_packed/,
  ],
  [
    'groups in an order that is none',
    'ct-pack-4-act-order',
    {
      tensors: (t) => {
        ints(t.get('weight_g_idx'))[0] = 99;
      },
    },
    'WEIGHT_QUANT_CONTRADICTION',
    /weight_g_idx/,
  ],
  [
    'floats where integers should be',
    'ct-int-8',
    {
      tensors: (t) => {
        const w = t.get('weight') as WriterTensor;
        t.set('weight', { ...w, dtype: 'F8_E4M3' });
      },
    },
    'WEIGHT_DTYPE_UNSUPPORTED',
  ],
  [
    'blocks that are none',
    'fp8-block',
    { config: { weight_block_size: [128, 33] } },
    'WEIGHT_QUANT_DESCRIPTION',
    /weight_block_size" must be \[rows, channels\]/,
  ],
  [
    'other blocks than the files',
    'fp8-block',
    { config: { weight_block_size: [8, 64] } },
    'WEIGHT_SHAPE_MISMATCH',
    /weight_scale_inv/,
  ],
  [
    'another kind of floats',
    'fp8-block',
    { config: { fmt: 'e5m2' } },
    'WEIGHT_QUANT_DESCRIPTION',
    /fmt" must be one of "e4m3"/,
  ],
  [
    'no scales',
    'fp8-block',
    { tensors: (t) => t.delete('weight_scale_inv') },
    'WEIGHT_QUANT_CONTRADICTION',
    /fp8, but "layer.proj" in the files has no weight_scale_inv/,
  ],
  [
    'integers',
    'fp8-block',
    { tensors: (t) => t.set('weight', { ...(t.get('weight') as WriterTensor), dtype: 'I8' }) },
    'WEIGHT_QUANT_CONTRADICTION',
    /layer.proj.weight" in the files is I8/,
  ],
  [
    'too few blocks of channels',
    'mxfp4',
    withShape('weight_blocks', ([n = 0, groups = 0, bytes = 0]) => [n, groups - 1, bytes]),
    'WEIGHT_SHAPE_MISMATCH',
  ],
  ['no scales', 'mxfp4', { tensors: (t) => t.delete('weight_scales') }, 'WEIGHT_NOT_FOUND', /weight_scales/],
  [
    'groups of 32',
    'ct-nvfp4',
    { config: groupOf('ct-nvfp4', { group_size: 32 }) },
    'WEIGHT_QUANT_DESCRIPTION',
    /group_size" must be one of 16, found 32/,
  ],
  [
    'too few groups',
    'ct-nvfp4',
    withShape('weight_scale', ([n = 0, groups = 0]) => [n, groups - 1]),
    'WEIGHT_QUANT_CONTRADICTION',
    /"group_size" 16, but "layer.proj.weight_scale" in the files is F8_E4M3\[24,5\]/,
  ],
  [
    'a global scale of 0',
    'ct-nvfp4',
    { tensors: (t) => t.get('weight_global_scale')?.data.fill(0) },
    'WEIGHT_QUANT_CONTRADICTION',
    /weight_global_scale" in the files is 0/,
  ],
  [
    'no global scale',
    'ct-nvfp4',
    { tensors: (t) => t.delete('weight_global_scale') },
    'WEIGHT_QUANT_CONTRADICTION',
    /weight_global_scale" in the files does not exist/,
  ],
  [
    'a state that is no JSON',
    'bnb-nf4-nested',
    text(NF4_STATE, '{"blocksize": 64'),
    'WEIGHT_QUANT_CONTRADICTION',
    /quant_state.*is no JSON object/,
  ],
  [
    'blocks of no size',
    'bnb-nf4-nested',
    state({ blocksize: 0 }),
    'WEIGHT_QUANT_DESCRIPTION',
    /bitsandbytes__nf4.blocksize" must be a whole number above 0, found 0/,
  ],
  [
    'blocks of another size',
    'bnb-nf4-nested',
    state({ blocksize: 64 }),
    'WEIGHT_QUANT_CONTRADICTION',
    /has 1 f32, but "layer.proj.weight.nested_absmax" in the files has F32/,
  ],
  [
    'another kind of codes',
    'bnb-nf4-nested',
    state({ quant_type: 'int4' }),
    'WEIGHT_QUANT_DESCRIPTION',
    /quant_type" must be one of "nf4", "fp4"/,
  ],
  ['a shape of its own', 'bnb-nf4-nested', state({ shape: [48, 48] }), 'WEIGHT_SHAPE_MISMATCH'],
  [
    'a shape beyond its codes',
    'bnb-nf4-nested',
    state({ shape: [2 ** 40, 2 ** 40] }),
    'WEIGHT_QUANT_CONTRADICTION',
  ],
  [
    'an offset that is none',
    'bnb-nf4-nested',
    state({ nested_offset: null }),
    'WEIGHT_QUANT_DESCRIPTION',
    /nested_offset" must be a finite number/,
  ],
  [
    'too few codes',
    'bnb-nf4-across',
    withShape('weight', ([bytes = 0]) => [bytes - 1, 1]),
    'WEIGHT_QUANT_CONTRADICTION',
    /2304 codes, but "layer.proj.weight" in the files has U8\[1151,1\]/,
  ],
  [
    'a table that is too short',
    'bnb-nf4-across',
    withShape('weight.quant_map', () => [15]),
    'WEIGHT_QUANT_CONTRADICTION',
    /quant_map/,
  ],
  [
    'a table of NaN',
    'bnb-nf4-across',
    { tensors: (t) => t.get('weight.quant_map')?.data.fill(0xff, 0, 4) },
    'WEIGHT_QUANT_CONTRADICTION',
    /quant_map" in the files does not hold finite f32/,
  ],
  [
    'no scales',
    'bnb-nf4-across',
    { tensors: (t) => t.delete('weight.absmax') },
    'WEIGHT_QUANT_CONTRADICTION',
    /absmax" in the files does not exist/,
  ],
  [
    'the configuration of 8 bits',
    'bnb-nf4-across',
    { config: { load_in_8bit: true } },
    'WEIGHT_QUANT_CONTRADICTION',
    /tells of 4 bits/,
  ],
  [
    'the configuration of 4 bits',
    'bnb-int8',
    { config: { load_in_8bit: false } },
    'WEIGHT_QUANT_CONTRADICTION',
    /SCB" in the files is of 8 bits/,
  ],
  [
    'rows in the order of a GPU',
    'bnb-int8',
    { tensors: (t) => t.get('weight_format')?.data.fill(1) },
    'WEIGHT_QUANT_CONTRADICTION',
    /weight_format/,
  ],
  ['too few scales', 'bnb-int8', withShape('SCB', () => [23]), 'WEIGHT_SHAPE_MISMATCH', /SCB/],
  [
    'other bits',
    'ct-float-8',
    { config: groupOf('ct-float-8', { num_bits: 4 }) },
    'WEIGHT_QUANT_DESCRIPTION',
    /num_bits" must be one of 8/,
  ],
];

describe('quantised checkpoints that are not what they say', () => {
  const path = temporaryFolder();

  async function write(name: string, { tensors: damage, config = {} }: Damage): Promise<Dict> {
    const file = join(FIXTURES, `${name}.safetensors`);
    const bytes = readFileSync(file);
    const tensors = new Map<string, WriterTensor>();
    for (const [full, { dtype, shape, offset, bytes: length }] of (await openSafetensors(file)).tensors) {
      const suffix = full.replace('layer.proj.', '');
      const data = Uint8Array.prototype.slice.call(bytes, offset, offset + length);
      tensors.set(suffix, { name: full, dtype, shape, data: new Uint8Array(data) });
    }
    damage?.(tensors);
    writeFileSync(path('model.safetensors'), safetensorsBytes([...tensors.values()]));
    return { quantization_config: { ...CONFIGS[name], ...config } };
  }

  async function load(name: string, damage: Damage): Promise<Linear> {
    const config = await write(name, damage);
    const checkpoint = await Checkpoint.open(path(), { config });
    const [outFeatures = 0, inFeatures = 0] = checkpoint.tensors.get('expected')?.shape ?? [];
    return Linear.load(checkpoint.weights({ dtype: 'f32' }), {
      parts: [{ name: 'layer.proj', outFeatures }],
      inFeatures,
    });
  }

  for (const [title, name, damage, code, ...says] of DAMAGES) {
    it(`are refused: ${name} with ${title}`, async () => {
      await load(name, {});
      const { message } = await failure(code, () => load(name, damage));
      for (const text of says) expect(message).to.match(text);
    });
  }

  it('are refused when they are loaded: scales that are not finite', async () => {
    const names = ['gptq-4-sym', 'ct-int-8', 'fp8-block', 'fp8-block-powers', 'mxfp4', 'bnb-int8'] as const;
    for (const name of [...names, 'bnb-nf4-across', 'bnb-nf4-nested', 'ct-nvfp4'] as const) {
      const nan = (tensors: Map<string, WriterTensor>) => {
        const [suffix = ''] = SCALES.filter((each) => tensors.has(each));
        (tensors.get(suffix) as WriterTensor).data.fill(0xff, 0, 4);
      };
      const linear = await load(name, { tensors: nan });
      const engine = createEngine({ threads: 1 });
      const loads = weightLoads(
        linear.getWeights().filter(({ parts }) => parts.length > 0),
        [],
        'f32',
      );
      const linears = loads.map((each) => (each.quantize ? { ...each, layout: 'linear' as const } : each));
      const error = await failure('NATIVE_ERROR', () => engine.loadWeights(linears));
      expect(error.message).to.match(/layer.proj.weight.*scales must be finite/);
      engine.dispose();
    }
  });

  it('are not quantised once more', async () => {
    const config = await write('gptq-4-sym', {});
    const checkpoint = await Checkpoint.open(path(), { config });
    const quantization = quantizationPlan({ quantize: 'w8a16' });
    const error = await failure('WEIGHT_QUANT_AGAIN', () => checkpoint.weights({ quantization }));
    expect(error.message).to.match(/integers already \(.*config.json says "gptq \(4 bits\)"\)/);
  });
});
