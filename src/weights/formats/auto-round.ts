import { openAwq } from './awq.js';
import { ConfigFields } from './config-fields.js';
import { type FormatSource, isNamed, type OpenFormat, type QuantFormat } from './format.js';
import { openGptq } from './gptq.js';
import { extraOverrides } from './module-overrides.js';

/**
 * AutoRound (arXiv:2309.05516): integers that it rounds its own way and stores as GPTQ or AWQ do, as auto-round 0.10 writes
 * them. Its own packing is GPTQ's with zero points as they are; `extra_config` says which linears differ.
 */
export const autoRound: QuantFormat = { methods: ['auto-round', 'intel/auto-round'], open };

/** Packings, by how they are stored. */
const GPTQ = ['auto_round:gptq', 'auto_round:auto_gptq', 'auto'] as const;
const GPTQ_WITH_ZEROS = ['auto_round', 'auto_round:gptqmodel', 'auto_round:exllamav2'] as const;
const AWQ = ['auto_round:awq', 'auto_round:auto_awq'] as const;

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config } = source;
  if (!isNamed(autoRound, config)) return undefined;
  const fields = new ConfigFields(source, config);
  fields.oneOf('data_type', ['int'] as const);
  fields.oneOf('act_bits', [16, 32] as const);
  // Older versions call it so.
  const key = config.packing_format == null ? 'backend' : 'packing_format';
  const packing = fields.oneOf(key, [...GPTQ, ...GPTQ_WITH_ZEROS, ...AWQ] as const);
  const dialect = { tool: 'auto-round', overrides: extraOverrides(source, config) };
  if (AWQ.some((known) => known === packing)) return openAwq(source, fields, dialect);
  return openGptq(source, fields, { ...dialect, zeroShift: GPTQ.some((known) => known === packing) ? 1 : 0 });
}
