import type { LinearQuant, StaticInput } from '../../quantization.js';
import type { ConfigFields } from '../config-fields.js';
import type { FormatSource, StoredLinear } from '../format.js';
import type { Nvfp4Weight } from '../nvfp4.js';
import type { Scheme } from './schemes.js';

/** A linear of the files and what the configuration says of it. */
export interface SchemedLinear {
  readonly scheme: Scheme;
  /** Undefined where only the configuration is looked at. */
  readonly stored: StoredLinear | undefined;
  /** The order in which the groups of its channels follow each other, where that is not the channels' own. */
  readonly channels: Int32Array | undefined;
  /** How its inputs become int8, where that was decided beforehand and the files were looked at. */
  readonly input: StaticInput | undefined;
  /** What `coded` made of it, where the files were looked at. */
  readonly coded: LinearQuant | undefined;
}

/** One way in which compressed-tensors writes a linear. */
export interface Compressor {
  /** Its name in config.json. */
  readonly format: string;
  /** The tensor by which the files show that a linear was written so. */
  readonly weight: 'weight' | 'weight_packed';
  /** Throws WEIGHT_QUANT_DESCRIPTION for what this engine does not read. */
  quantOf(linear: SchemedLinear): LinearQuant;
  /** Of a linear that others may read as floats. Throws WEIGHT_QUANT_CONTRADICTION. */
  coded?(source: FormatSource, fields: ConfigFields, linear: string): Promise<Nvfp4Weight>;
  /** Whether inputs become integers as the configuration says; where it is absent, they stay floats. */
  quantisesInputs?(scheme: Scheme): boolean;
}
