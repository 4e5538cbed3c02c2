import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import type { QuantizationPlan } from '../quantization.js';
import type { LinkOptions } from '../regular-file.js';
import { autoRound } from './auto-round.js';
import { awq } from './awq.js';
import { bitnet } from './bitnet.js';
import { bitsandbytes } from './bitsandbytes.js';
import { compressedTensors } from './compressed-tensors/index.js';
import type { FormatSource, OpenFormat, QuantFormat } from './format.js';
import { fp8 } from './fp8.js';
import { gptq } from './gptq.js';
import { modelopt } from './modelopt.js';
import { msmodelslim } from './msmodelslim.js';
import { mxfp4 } from './mxfp4.js';

/** Every format that is read. A new one is a file beside this one, and a line here. */
const FORMATS: readonly QuantFormat[] = [
  msmodelslim,
  gptq,
  awq,
  autoRound,
  compressedTensors,
  fp8,
  modelopt,
  mxfp4,
  bitsandbytes,
  bitnet,
];

/** Keys of config.json that say how weights are quantised; `quantization` is how MLX calls it. */
export const QUANTISATION_KEYS = ['quantization_config', 'compression_config', 'quantization'] as const;

/** What config.json says of quantisation; undefined when it says nothing. */
export function quantisationOf(
  config: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> | undefined {
  const found = QUANTISATION_KEYS.map((key) => config[key]).find((value) => value != null);
  return isObject(found) ? found : undefined;
}

/** The `quant_method`s that are read. */
export const readMethods = (): string[] => FORMATS.flatMap(({ methods }) => methods);

/** How a checkpoint is quantised; undefined for floats. Throws WEIGHT_QUANT_*, WEIGHT_FILE_*. */
export async function openFormat(source: FormatSource): Promise<OpenFormat | undefined> {
  for (const format of FORMATS) {
    const open = await format.open(source);
    if (open) return open;
  }
  return undefined;
}

/**
 * How a checkpoint says that its linears are stored, for somebody who does not look at its weights; undefined for floats.
 * `willQuantize`: the run would quantise them. Throws WEIGHT_QUANT_*, WEIGHT_FILE_*.
 */
export async function declaredQuantization(
  directory: string,
  config: Readonly<Record<string, unknown>>,
  { willQuantize, ...links }: LinkOptions & { readonly willQuantize: boolean },
): Promise<QuantizationPlan | undefined> {
  const format = await openFormat({
    directory,
    links,
    config: quantisationOf(config),
    tensors: undefined,
    read: (name) => Promise.reject(new RangeError(`there is no tensor ${name}`)),
  });
  if (format === undefined) return undefined;
  if (willQuantize) refuseQuantizingAgain(format);
  return (name, role) => format.quantOf({ name, tensor: () => undefined }, role);
}

/** @throws WEIGHT_QUANT_AGAIN */
export function refuseQuantizingAgain({ file, method }: OpenFormat): never {
  throw new AtbError('WEIGHT_QUANT_AGAIN', { file, found: method });
}
