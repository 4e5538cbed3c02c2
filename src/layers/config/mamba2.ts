import { isObject } from '../../is-object.js';
import { type Check, flag, HEADS, integer, LENGTH, listOf, SIZE, WIDTH } from './checks.js';
import type { ConfigReader } from './config-reader.js';
import { keysBecause } from './define-config.js';
import { type Field, field } from './fields.js';

/** The defaults that a family with mixers of Mamba-2 must state; null stands for them, too. */
export interface Mamba2Defaults {
  readonly heads: number;
  readonly stateSize: number;
  /** Of all heads together, of a family that says it in `mamba_d_ssm`: what stands for that where it is absent. */
  readonly width?: number;
}

/** Tokens that a convolution sees. */
export const TAPS = integer(2, 64);

type Sizes = { readonly hiddenSize: number; readonly mambaHeads: number };

/**
 * All heads together are `mamba_expand` times as wide as hidden states, or `mamba_d_ssm` where `known` stands for that,
 * whether the file says their size or not. `names`: of their number and of their size.
 */
export const mambaHeadSize = (
  names: { readonly heads: string; readonly size: string },
  known?: number,
): Field<number, Sizes> => ({
  read(json, { hiddenSize, mambaHeads }) {
    const expand = field('mamba_expand', integer(1, 1000), 2).read(json, {});
    const isNamed = known !== undefined && !json.isNull('mamba_d_ssm');
    const width = isNamed ? field('mamba_d_ssm', WIDTH, known).read(json, {}) : expand * hiddenSize;
    const named = json.raw(names.size) ?? 'auto';
    const found = named === 'auto' ? width / mambaHeads : json.check(names.size, named, SIZE);
    if (found !== undefined && (found * mambaHeads !== width || !Number.isInteger(found)))
      json.problem(
        `${names.heads} (${mambaHeads}) heads of ${found} must be ${isNamed ? 'mamba_d_ssm' : 'mamba_expand * hidden_size'} (${width})`,
      );
    return found ?? 1;
  },
});

/** What stands for an infinite number in JSON, which has none: transformers 5 writes the second. */
const isInfinite = (value: unknown): boolean =>
  value === 'Infinity' || (isObject(value) && value.__float__ === 'Infinity');

const numberOf = (value: unknown): number =>
  isInfinite(value) ? Number.POSITIVE_INFINITY : typeof value === 'number' ? value : Number.NaN;

const number: Check<unknown> = {
  safeParse: (value) =>
    numberOf(value) >= 0
      ? { success: true, data: value }
      : { success: false, error: { issues: [{ message: 'must be a number from 0' }] } },
};

/** What the engine takes for no limit: it knows no infinity. */
const ENDLESS = 3e38;

/** `time_step_limit`, two numbers; null, as an infinite second one, stands for none. */
const stepLimits: Field<readonly [number, number]> = {
  read(json: ConfigReader) {
    const found = json.value('time_step_limit', listOf(number, 'numbers from 0'))?.map(numberOf);
    const [least = 0, most = ENDLESS] = found ?? [];
    if (found !== undefined && (found.length !== 2 || least > most))
      json.problem('time_step_limit must be a least and a most step');
    return [least, Math.min(most, ENDLESS)];
  },
};

/** How many groups of B and C the heads share. */
export const mambaGroups = (
  name: string,
  fallback: number,
): Field<number, { readonly mambaHeads: number }> => ({
  read(json, { mambaHeads }) {
    const groups = json.value(name, HEADS) ?? fallback;
    if (mambaHeads % groups !== 0) json.problem(`${name} (${groups}) must divide the ${mambaHeads} heads`);
    return groups;
  },
});

/** States have no end, but a run's context must: that up to which Codestral Mamba was tried. */
export const endlessContext = field('max_position_embeddings', LENGTH, 2 ** 18);

/** Mixers of Mamba-2, under the names that its authors gave their sizes. Heads and groups the families name. */
export const originalMamba2 = {
  convTaps: field('conv_kernel', TAPS, 4),
  convBias: field('use_conv_bias', flag, true),
  mambaBias: field('use_bias', flag, false),
  stepLimits,
};

/** Keys of theirs that change nothing here. */
export const ORIGINAL_MAMBA2_IRRELEVANT = {
  chunk_size: 'says how kernels of GPUs cut prompts',
  use_mamba_kernels: 'says which kernels another program takes',
  expand: 'is another name of the heads together',
  residual_in_fp32: 'says how another program rounds sums',
  num_logits_to_keep: 'says what a call returns',
  ...keysBecause(
    'says how training began',
    ...['time_step_min', 'time_step_max', 'time_step_floor', 'time_step_rank', 'rescale_prenorm_residual'],
  ),
};

/** Mixers of Mamba-2, under the names that most hybrids have. */
export const mamba2 = ({ heads, stateSize, width }: Mamba2Defaults) => ({
  mambaHeads: field('mamba_n_heads', HEADS, heads),
  mambaHeadSize: mambaHeadSize({ heads: 'mamba_n_heads', size: 'mamba_d_head' }, width),
  mambaStateSize: field('mamba_d_state', SIZE, stateSize),
  mambaGroups: mambaGroups('mamba_n_groups', 1),
  convTaps: field('mamba_d_conv', TAPS, 4),
  convBias: field('mamba_conv_bias', flag, true),
  mambaBias: field('mamba_proj_bias', flag, false),
  stepLimits,
});
