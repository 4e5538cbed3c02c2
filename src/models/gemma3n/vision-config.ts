import { isObject } from '../../is-object.js';
import { ConfigReader } from '../../layers/config/config-reader.js';
import {
  type Check,
  type Field,
  field,
  integer,
  nested,
  oneOf,
  only,
  positive,
  WIDTH,
} from '../../layers/config/index.js';
import { MOBILENET_V5_300M, type MobileBlock } from './mobile-stages.js';

const COUNT = integer(1, 10_000);
/** 0: there is no such convolution. */
const KERNEL = integer(0, 16);
const ARGUMENTS = 'model_args';
const BLOCKS = `${ARGUMENTS}.block_args`;
/** Rows of the last stages stand side by side. */
const LAST = 2;

type Stages = readonly (readonly MobileBlock[])[];

/** What no block has: timm says it of each of them. */
const ABSENT = {
  ...{ se_ratio: 0, force_in_chs: 0, dw_kernel_size_end: 0, pw_kernel_size: 1, noskip: false },
} as const;

/** A block as timm describes it, the first of its stage or a later one, which passes over nothing. */
function blockOf(json: ConfigReader, isFirst: boolean): MobileBlock {
  for (const [name, value] of Object.entries(ABSENT)) json.value(name, only(value));
  const value = <T>(name: string, check: Check<T>, fallback: T): T => json.value(name, check) ?? fallback;
  const outSize = json.value('out_chs', WIDTH) ?? json.missing('out_chs');
  if (outSize % 8 !== 0) json.problem(`out_chs must be a multiple of 8, found ${outSize}`);
  const kind = json.value('block_type', oneOf('er', 'uir', 'mqa')) ?? json.missing('block_type');
  const stride = value('stride', integer(1, isFirst && kind !== 'mqa' ? 2 : 1), 1);
  const ratio = value('exp_ratio', positive(1000), 1);
  if (kind === 'er') return { kind, outSize, stride, ratio, kernel: value('exp_kernel_size', COUNT, 3) };
  if (kind === 'uir') {
    const start = value('dw_kernel_size_start', KERNEL, 0);
    return { kind, outSize, stride, ratio, start, mid: value('dw_kernel_size_mid', KERNEL, 3) };
  }
  const headDim = value('key_dim', WIDTH, 64);
  const ofValues = value('value_dim', WIDTH, 64);
  if (ofValues !== headDim) json.problem(`value_dim must be ${headDim}, as key_dim says, found ${ofValues}`);
  const heads = value('num_heads', COUNT, 8);
  const keyStride = value('kv_stride', integer(1, 2), 1);
  return { kind, outSize, heads, headDim, keyStride, kernel: value('dw_kernel_size', COUNT, 3) };
}

/** Stages of blocks where the file has its own, else those of the one architecture that is published. */
const stages: Field<Stages> = {
  read(json) {
    const found = json.section(ARGUMENTS)?.raw('block_args') ?? undefined;
    if (found === undefined) return MOBILENET_V5_300M;
    const isOfBlocks = (stage: unknown) =>
      Array.isArray(stage) && stage.length > 0 && stage.every((block) => isObject(block));
    if (!Array.isArray(found) || found.length < LAST || !found.every(isOfBlocks))
      return json.fail(`${BLOCKS} must be at least ${LAST} lists of blocks`);
    return found.map((stage: Record<string, unknown>[], at) =>
      stage.map((block, index) => {
        const reader = new ConfigReader(block, json.problems, `${json.path(BLOCKS)}[${at}][${index}].`);
        return blockOf(reader, index === 0);
      }),
    );
  },
};

/** Pixels along a side of pictures: three channels, and a square. */
const imageSize: Field<number> = {
  read(json) {
    const name = 'pretrained_cfg_overlay.input_size';
    const overlay = json.section(ARGUMENTS)?.section('pretrained_cfg_overlay');
    const found = overlay?.raw('input_size') ?? [3, 768, 768];
    const [colours, height, width, ...others] = Array.isArray(found) ? found : [];
    const isBuilt = colours === 3 && height === width && others.length === 0;
    if (isBuilt && COUNT.safeParse(height).success) return height as number;
    return json.fail(`${ARGUMENTS}.${name} must be 3 channels and a square's sides, found ${found}`);
  },
};

/** What says how many rows there are. */
interface Sides {
  readonly imageSize: number;
  readonly stages: Stages;
}

/** Rows along a side behind each stage: the convolution before all takes every second, as some blocks do. */
export function stageSides({ imageSize, stages: all }: Sides) {
  let side = Math.ceil(imageSize / 2);
  return all.map((blocks) => {
    for (const block of blocks) if (block.kind !== 'mqa') side = Math.ceil(side / block.stride);
    return side;
  });
}

/** Rows along a side of what becomes tokens: means of blocks of rows. */
const outSide: Field<number, Sides> = {
  read(json, sides) {
    const name = 'msfa_output_resolution';
    const found = json.section(ARGUMENTS)?.value(name, COUNT) ?? 16;
    const [high = 1] = stageSides(sides).slice(-LAST);
    for (const [what, side] of [
      ['rows', high],
      ['pixels', sides.imageSize],
    ] as const)
      if (side % found !== 0)
        json.problem(`${ARGUMENTS}.${name} must divide ${side} ${what} along a side, found ${found}`);
    return found;
  },
};

/** Of the convolution before all stages. */
const stemSize: Field<number> = {
  read: (json) => json.section(ARGUMENTS)?.value('stem_size', COUNT) ?? 64,
};

/** MobileNet V5 as timm has it; defaults of transformers 5.24, Gemma3nVisionConfig. */
const VISION = nested(
  'vision_config',
  {
    kind: field('model_type', only('gemma3n_vision'), 'gemma3n_vision'),
    architecture: field('architecture', only('mobilenetv5_300m_enc'), 'mobilenetv5_300m_enc'),
    // As many as its last convolution gives, whatever its blocks are.
    hiddenSize: field('hidden_size', only(2048), 2048),
    vocabSize: field('vocab_size', WIDTH, 128),
    firstToken: field('vocab_offset', integer(0, 2 ** 24), 262_144),
    rmsNormEps: field('rms_norm_eps', positive(1), 1e-6),
    stages,
    imageSize,
    outSide,
    stemSize,
  },
  ['label_names', 'num_classes', 'do_pooling', 'global_pool', 'num_features', 'pretrained_cfg'],
);
export type Gemma3nVisionConfig = ReturnType<(typeof VISION)['read']>;

/** What it is told of what sees; undefined in files that have none. */
export const gemma3nVision: Field<Gemma3nVisionConfig | undefined> = {
  read: (json) => (json.section('vision_config') ? VISION.read(json, {}) : undefined),
};
