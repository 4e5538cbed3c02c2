import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { Checkpoint } from '../../../src/weights/checkpoint.js';
import { declaredQuantization } from '../../../src/weights/formats/index.js';
import { failure, safetensorsBytes, temporaryFolder } from '../safetensors-writer.js';

const FP8 = { quant_method: 'fp8', fmt: 'e4m3', scale_fmt: 'ue8m0', weight_block_size: [128, 128] };
const EXPERT = 'layers.0.ffn.experts.3.w1';
const SHARED = 'layers.0.ffn.shared_experts.w1';
/** A linear [256, 128] as fp4, and as fp8. */
const FP4_TENSORS = { weight: ['I8', [256, 64]], scale: ['F8_E8M0', [256, 4]] } as const;
const FP8_TENSORS = { weight: ['F8_E4M3', [256, 128]], scale: ['F32', [2, 1]] } as const;
type Tensors = Readonly<Record<string, readonly [dtype: string, shape: readonly number[]]>>;

describe("DeepSeek-V4's small floats", () => {
  const path = temporaryFolder();

  async function quantOf(linear: string, tensors: Tensors, config: object) {
    const stored = Object.entries(tensors).map(([suffix, [dtype, shape]]) => ({
      ...{ name: `${linear}.${suffix}`, dtype, shape },
      data: new Uint8Array(shape.reduce((a, b) => a * b, dtype === 'F32' ? 4 : 1)),
    }));
    writeFileSync(path('model.safetensors'), safetensorsBytes(stored));
    const checkpoint = await Checkpoint.open(path(), { config: { quantization_config: FP8, ...config } });
    return checkpoint.quantOf(linear, 'projection');
  }

  it('are what each tensor says, where nothing is said of experts', async () => {
    expect(await quantOf(EXPERT, FP4_TENSORS, {})).to.include({ desc: 'FP4', groupSize: 32 });
    expect(await quantOf(EXPERT, FP8_TENSORS, {})).to.include({ desc: 'FP8', groupSize: 128 });
    expect(await quantOf(SHARED, FP8_TENSORS, { expert_dtype: 'fp4' })).to.include({ desc: 'FP8' });
  });

  it('are declared by expert_dtype, beside the quantization_config or in it', async () => {
    for (const config of [
      { expert_dtype: 'fp4', quantization_config: FP8 },
      { quantization_config: { ...FP8, expert_dtype: 'fp4' } },
    ]) {
      const plan = await declaredQuantization('/nowhere', config, { willQuantize: false });
      expect(plan?.(EXPERT, 'projection')?.desc).to.equal('FP4');
      expect(plan?.(SHARED, 'projection')?.desc).to.equal('FP8');
    }
  });

  for (const [title, linear, tensors, said, says] of [
    ['fp8 where fp4 is said', EXPERT, FP8_TENSORS, 'fp4', /"expert_dtype" "fp4".*w1.weight.* is F8_E4M3/],
    ['fp4 where fp8 is said', EXPERT, FP4_TENSORS, 'fp8', /"expert_dtype" "fp8".*w1.weight.* is I8/],
    ['fp4 that is no expert', SHARED, FP4_TENSORS, 'fp4', /w1.weight.* is I8, beside scale/],
    [
      'fp4 whose scales are f32',
      EXPERT,
      { ...FP4_TENSORS, scale: ['F32', [256, 4]] },
      undefined,
      /that experts are fp4.*w1.scale.* is F32 in model.safetensors/,
    ],
  ] as const) {
    it(`are refused: ${title}`, async () => {
      const config = said ? { expert_dtype: said } : {};
      const { message } = await failure('WEIGHT_QUANT_CONTRADICTION', () => quantOf(linear, tensors, config));
      expect(message).to.match(says);
    });
  }

  it('are refused where experts are said to be another kind', async () => {
    const open = () => quantOf(EXPERT, FP4_TENSORS, { expert_dtype: 'int4' });
    const { message } = await failure('WEIGHT_QUANT_DESCRIPTION', open);
    expect(message).to.match(/expert_dtype" must be one of "fp8", "fp4", found "int4"/);
  });
});
