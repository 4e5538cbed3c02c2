import { AtbError } from '../errors.js';

interface OriginalFlag {
  readonly type: 'string' | 'number' | 'boolean';
  /** Values that ask for nothing, or for what happens anyway; whoever knows more decides when absent. */
  readonly allowed?: readonly (number | boolean)[];
  readonly reason: string;
}

const oneProcess: OriginalFlag = {
  type: 'number',
  allowed: [-1, 1],
  reason: 'the engine is one process that uses all cores; only -1 or 1',
};

/**
 * Flags of the original's `run_pa.py` for what this engine does not do. Scripts may pass them with values that ask for
 * nothing; with any other they are refused.
 */
export const ORIGINAL_FLAGS: Readonly<Record<string, OriginalFlag>> = {
  dp: oneProcess,
  tp: oneProcess,
  moe_tp: oneProcess,
  pp: oneProcess,
  microbatch_size: oneProcess,
  moe_ep: oneProcess,
  sp: oneProcess,
  cp: oneProcess,
  distributed_enable: { type: 'boolean', allowed: [false], reason: 'the engine is one process' },
  // `checkLoraLimits` decides.
  max_loras: { type: 'number', reason: '' },
  max_lora_rank: { type: 'number', reason: '' },
  trust_remote_code: {
    type: 'boolean',
    allowed: [false],
    reason: 'code of a checkpoint is never run; register a model directory instead',
  },
  // Its graph is the only one here, so both values ask for what happens anyway.
  enable_atb_torch: { type: 'boolean', allowed: [true, false], reason: 'there is no other graph' },
};

/** @throws OPTION_UNSUPPORTED */
export function refuseUnsupported(flags: Readonly<Record<string, unknown>>): void {
  for (const [name, { allowed, reason }] of Object.entries(ORIGINAL_FLAGS)) {
    const found = flags[name];
    if (found !== undefined && allowed && !allowed.some((value) => value === found))
      throw new AtbError('OPTION_UNSUPPORTED', { option: `--${name}`, found, reason });
  }
}
