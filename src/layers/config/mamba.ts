import { flag, integer, only, positive, SIZE, WIDTH } from './checks.js';
import { keysBecause } from './define-config.js';
import { type Field, field } from './fields.js';
import { endlessContext, TAPS } from './mamba2.js';

/** What families with mixers of Mamba call their sizes, in the order of the fields. */
interface MambaNames {
  readonly state: string;
  readonly taps: string;
  readonly convBias: string;
  readonly bias: string;
  readonly expand: string;
  readonly rank: string;
}

type Hidden = { readonly hiddenSize: number };

/** `expand` times as wide as hidden states, where the file does not say `intermediate_size`, which its other layers may mean. */
const width = (expand: string, named: boolean): Field<number, Hidden> => ({
  read(json, { hiddenSize }) {
    const times = json.value(expand, integer(1, 1000)) ?? 2;
    return (named ? json.value('intermediate_size', WIDTH) : undefined) ?? times * hiddenSize;
  },
});

/** A number, or "auto": a sixteenth of hidden states, rounded up. */
const rank = (name: string): Field<number, Hidden> => ({
  read(json, { hiddenSize }) {
    const found = json.raw(name) ?? 'auto';
    const named = found === 'auto' ? undefined : json.check(name, found, SIZE);
    return named ?? Math.ceil(hiddenSize / 16);
  },
});

const sizes = (names: MambaNames, hasWidth: boolean) => ({
  mambaWidth: width(names.expand, hasWidth),
  mambaStateSize: field(names.state, SIZE, 16),
  stepRank: rank(names.rank),
  convTaps: field(names.taps, TAPS, 4),
  convBias: field(names.convBias, flag, true),
  mambaBias: field(names.bias, flag, false),
});

/** Mixers of Mamba, under the names that most hybrids have. */
export const mamba = sizes(
  {
    ...{ state: 'mamba_d_state', taps: 'mamba_d_conv', convBias: 'mamba_conv_bias' },
    ...{ bias: 'mamba_proj_bias', expand: 'mamba_expand', rank: 'mamba_dt_rank' },
  },
  false,
);

/** Mixers of Mamba and nothing else, under the names that transformers gave them. */
export const originalMamba = {
  ...sizes(
    {
      ...{ state: 'state_size', taps: 'conv_kernel', convBias: 'use_conv_bias' },
      ...{ bias: 'use_bias', expand: 'expand', rank: 'time_step_rank' },
    },
    true,
  ),
  maxPositionEmbeddings: endlessContext,
  rmsNormEps: field('layer_norm_epsilon', positive(1), 1e-5),
  mambaAct: field('hidden_act', only('silu'), 'silu'),
};

/** Keys of theirs that change nothing here. */
export const ORIGINAL_MAMBA_IRRELEVANT = {
  residual_in_fp32: 'says how another program rounds sums',
  ...keysBecause(
    'says how training began',
    ...['time_step_min', 'time_step_max', 'time_step_floor', 'time_step_scale', 'time_step_init_scheme'],
    'rescale_prenorm_residual',
  ),
  ...keysBecause('says which kernels another program takes', 'use_mambapy', 'use_associative_scan'),
};

/** Of heads that read hidden states and embeddings side by side, as those between mixers of Zamba do. */
export const wideHeadDim = field(
  ['attention_head_dim', 'head_dim'],
  SIZE,
  ({ hiddenSize, numAttentionHeads }: Hidden & { readonly numAttentionHeads: number }) =>
    Math.floor((2 * hiddenSize) / numAttentionHeads),
);
