import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import type { QuantizationPlan } from '../quantization.js';
import type { LinkOptions } from '../regular-file.js';
import { autoRound } from './auto-round.js';
import { awq } from './awq.js';
import { bitnet } from './bitnet.js';
import { bitsandbytes } from './bitsandbytes.js';
import { compressedTensors } from './compressed-tensors/index.js';
import { type FormatSource, type OpenFormat, type QuantFormat, textLinear } from './format.js';
import { fp8 } from './fp8.js';
import { gguf } from './gguf.js';
import { gptq } from './gptq.js';
import { modelopt } from './modelopt.js';
import { msmodelslim } from './msmodelslim.js';
import { mxfp4 } from './mxfp4.js';

/** Every format that is read. A new one is a file beside this one, and a line here. */
const FORMATS: readonly QuantFormat[] = [
  gguf,
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

/** What config.json says of quantisation, or its text_config; undefined when neither says anything. */
export function quantisationOf(
  config: Readonly<Record<string, unknown>>,
): Pick<FormatSource, 'config' | 'ofText'> {
  const saidBy = (said: Readonly<Record<string, unknown>>) =>
    QUANTISATION_KEYS.map((key) => said[key]).find((value) => value != null);
  const { text_config: text, expert_dtype: experts } = config;
  const whole = saidBy(config);
  if (whole != null || !isObject(text)) {
    // DeepSeek-V4 says beside it what its experts are, later ones within it.
    const beside = experts == null ? {} : { expert_dtype: experts };
    return { config: isObject(whole) ? { ...beside, ...whole } : undefined };
  }
  const found = saidBy(text);
  return isObject(found) ? { config: found, ofText: true } : { config: undefined };
}

/** The `quant_method`s that are read. */
export const readMethods = (): string[] => FORMATS.flatMap(({ methods }) => methods);

/** How a checkpoint is quantised; undefined for floats. Throws WEIGHT_QUANT_*, WEIGHT_FILE_*. */
export async function openFormat(source: FormatSource): Promise<OpenFormat | undefined> {
  for (const format of FORMATS) {
    const open = await format.open(source);
    if (open) return source.ofText ? ofTextAlone(open) : open;
  }
  return undefined;
}

/** The same of a model of text: what is beside it is floats. */
const ofTextAlone = (open: OpenFormat): OpenFormat => ({
  ...open,
  quantOf: (linear, role) => (textLinear(linear.name) === undefined ? undefined : open.quantOf(linear, role)),
});

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
    ...quantisationOf(config),
    tensors: undefined,
    read: (name) => Promise.reject(new RangeError(`there is no tensor ${name}`)),
  });
  if (format === undefined) return undefined;
  if (willQuantize) refuseQuantizingAgain(format);
  return (name, role) => format.quantOf({ name, tensor: () => undefined }, role);
}

/** @throws WEIGHT_QUANT_AGAIN for a format whose integers cannot become others */
export function refuseQuantizingAgain({ file, method, mayQuantize = false }: OpenFormat): void {
  if (!mayQuantize) throw new AtbError('WEIGHT_QUANT_AGAIN', { file, found: method });
}
